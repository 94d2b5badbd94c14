package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/field"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/mixin"
)

// snippet: signal

type OrderPlaced struct{ ent.Schema } // a message, not an order

func (OrderPlaced) Mixin() []ent.Mixin { return []ent.Mixin{mixin.Signal{}} }
func (OrderPlaced) Fields() []ent.Field {
	return []ent.Field{field.Int("order_id"), field.String("customer")}
}
func (OrderPlaced) Annotations() []schema.Annotation {
	return []schema.Annotation{entsignal.BurstCount(500)} // rows that a flush sends at once
}

// end snippet
