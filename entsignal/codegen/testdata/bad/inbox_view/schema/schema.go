// Package schema has a view that claims to be an inbox.
package schema

import (
	"entgo.io/ent"

	"github.com/entsignal/signalbus/mixin"
)

type Received struct{ ent.View }

func (Received) Mixin() []ent.Mixin { return []ent.Mixin{mixin.Inbox{}} }

type Order struct{ ent.Schema }
