// Package schema has the entities of a shop whose signals vary in everything
// that matters to a bus: the type of the id, names of tables and columns,
// types of fields, edges, order and autoflush.
package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"
)

// Order is business data.
type Order struct{ ent.Schema }

// Fields of the Order.
func (Order) Fields() []ent.Field {
	return []ent.Field{
		field.String("customer").Default("nobody"),
		field.Int("number").Default(0),
	}
}

// Edges of the Order.
func (Order) Edges() []ent.Edge {
	return []ent.Edge{edge.To("shipments", ShipmentDue.Type)}
}
