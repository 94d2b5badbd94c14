// Package schema has an edge of a name that is taken.
package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"

	"github.com/entsignal/signalbus/mixin"
)

type OrderPlaced struct{ ent.Schema }

func (OrderPlaced) Mixin() []ent.Mixin { return []ent.Mixin{mixin.Signal{}} }

func (OrderPlaced) Fields() []ent.Field {
	return []ent.Field{field.Int("number"), field.String("customer")}
}

func (OrderPlaced) Edges() []ent.Edge {
	return []ent.Edge{edge.To("entsignalGroup", Order.Type)}
}

type Order struct{ ent.Schema }
