// Package schema has an entity of the business that is taken for a message.
package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"

	"github.com/entsignal/signalbus/mixin"
)

type Order struct{ ent.Schema }

func (Order) Mixin() []ent.Mixin { return []ent.Mixin{mixin.Signal{}} }

func (Order) Fields() []ent.Field { return []ent.Field{field.String("customer")} }

func (Order) Edges() []ent.Edge { return []ent.Edge{edge.To("lines", OrderLine.Type)} }

type OrderLine struct{ ent.Schema }

func (OrderLine) Edges() []ent.Edge {
	return []ent.Edge{edge.From("order", Order.Type).Ref("lines").Unique().Required()}
}
