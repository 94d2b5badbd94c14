// Package schema has the entities that the benchmarks write: one of business
// data, and one signal.
package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/field"

	"github.com/entsignal/signalbus/mixin"
)

// Order is business data.
type Order struct{ ent.Schema }

// Fields of the Order.
func (Order) Fields() []ent.Field { return []ent.Field{field.String("customer")} }

// Event is the signal. Its payload is the body of its message.
type Event struct{ ent.Schema }

// Mixin of the Event.
func (Event) Mixin() []ent.Mixin { return []ent.Mixin{mixin.Signal{}} }

// Fields of the Event.
func (Event) Fields() []ent.Field {
	return []ent.Field{field.Int("order_id"), field.Bytes("payload").MaxLen(1 << 20)}
}
