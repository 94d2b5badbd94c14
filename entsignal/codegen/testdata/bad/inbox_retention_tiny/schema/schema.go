// Package schema has an inbox whose retention lacks its unit.
package schema

import (
	"entgo.io/ent"

	"github.com/entsignal/signalbus/mixin"
)

type Received struct{ ent.Schema }

func (Received) Mixin() []ent.Mixin { return []ent.Mixin{mixin.Inbox{Retention: 7}} }
