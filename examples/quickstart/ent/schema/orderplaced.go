package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/field"

	"github.com/entsignal/signalbus/mixin"
)

// OrderPlaced is a signal: a message to the world outside.
type OrderPlaced struct{ ent.Schema }

// Mixin makes the entity a signal.
func (OrderPlaced) Mixin() []ent.Mixin { return []ent.Mixin{mixin.Signal{}} }

// Fields of the OrderPlaced.
func (OrderPlaced) Fields() []ent.Field {
	return []ent.Field{field.Int("order_id"), field.String("customer")}
}
