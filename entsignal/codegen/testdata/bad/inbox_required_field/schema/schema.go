// Package schema has an inbox with a field that Once has no value for.
package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/field"

	"github.com/entsignal/signalbus/mixin"
)

type Received struct{ ent.Schema }

func (Received) Mixin() []ent.Mixin { return []ent.Mixin{mixin.Inbox{}} }

func (Received) Fields() []ent.Field {
	return []ent.Field{
		field.String("queue"),
		field.String("note").Optional(),
		field.Int("attempts").Default(0),
	}
}
