// Package schema has the entities of the order service.
package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/field"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/mixin"
)

// Order is the business data.
type Order struct{ ent.Schema }

// Fields of the Order.
func (Order) Fields() []ent.Field {
	return []ent.Field{
		field.String("customer"),
		field.Int("cents"),
	}
}

// OrderPlaced is a signal: it tells other services of a new order.
type OrderPlaced struct{ ent.Schema }

// Mixin makes the entity a signal.
func (OrderPlaced) Mixin() []ent.Mixin { return []ent.Mixin{mixin.Signal{}} }

// Fields of the OrderPlaced. It repeats what consumers need to know, because
// the order may have changed by the time the message is sent.
func (OrderPlaced) Fields() []ent.Field {
	return []ent.Field{
		field.Int("order_id"),
		field.String("customer"),
		field.Int("cents"),
	}
}

// Annotations of the OrderPlaced: the publisher takes a batch at once.
func (OrderPlaced) Annotations() []schema.Annotation {
	return []schema.Annotation{entsignal.BurstCount(500)}
}
