// Package schema has an entity that is an inbox and a signal.
package schema

import (
	"entgo.io/ent"

	"github.com/entsignal/signalbus/mixin"
)

type Received struct{ ent.Schema }

func (Received) Mixin() []ent.Mixin { return []ent.Mixin{mixin.Signal{}, mixin.Inbox{}} }
