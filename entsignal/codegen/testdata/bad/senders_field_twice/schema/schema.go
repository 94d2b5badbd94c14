// Package schema has two signals that need one field of SignalSenders.
package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/field"

	"github.com/entsignal/signalbus/mixin"
)

type Order struct{ ent.Schema }

func (Order) Mixin() []ent.Mixin { return []ent.Mixin{mixin.Signal{}} }

func (Order) Fields() []ent.Field {
	return []ent.Field{field.Int("number"), field.String("customer")}
}

type OrderWith struct{ ent.Schema }

func (OrderWith) Mixin() []ent.Mixin { return []ent.Mixin{mixin.Signal{}} }

func (OrderWith) Fields() []ent.Field {
	return []ent.Field{field.Int("number"), field.String("customer")}
}
