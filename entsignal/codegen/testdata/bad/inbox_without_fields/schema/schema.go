// Package schema has an inbox with a mixin around it that changes the fields.
package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/field"

	"github.com/entsignal/signalbus/mixin"
)

type other struct{ mixin.Inbox }

func (other) Fields() []ent.Field {
	return []ent.Field{
		field.String("source").MaxLen(20),
		field.Int("message_id"),
	}
}

func (other) Indexes() []ent.Index { return nil }

type Received struct{ ent.Schema }

func (Received) Mixin() []ent.Mixin { return []ent.Mixin{other{}} }
