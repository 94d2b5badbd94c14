// Package schema has an inbox with an id that nobody gives.
package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/field"

	"github.com/entsignal/signalbus/mixin"
)

type Received struct{ ent.Schema }

func (Received) Mixin() []ent.Mixin { return []ent.Mixin{mixin.Inbox{}} }

func (Received) Fields() []ent.Field { return []ent.Field{field.String("id")} }
