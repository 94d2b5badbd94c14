package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/field"
	"github.com/entsignal/signalbus/mixin"
)

// Order is the business data.
type Order struct{ ent.Schema }

func (Order) Fields() []ent.Field { return []ent.Field{field.String("customer")} }

// OrderPlaced is a signal: a message to the world outside.
type OrderPlaced struct{ ent.Schema }

func (OrderPlaced) Mixin() []ent.Mixin  { return []ent.Mixin{mixin.Signal{}} }
func (OrderPlaced) Fields() []ent.Field { return []ent.Field{field.Int("order_id")} }
