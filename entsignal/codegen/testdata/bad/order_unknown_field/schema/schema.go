// Package schema orders a signal by a field that it doesn't have.
package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/field"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/mixin"
)

type OrderPlaced struct{ ent.Schema }

func (OrderPlaced) Mixin() []ent.Mixin { return []ent.Mixin{mixin.Signal{}} }

func (OrderPlaced) Annotations() []schema.Annotation {
	return []schema.Annotation{entsignal.AutoFlush(false), entsignal.OrderBy("customer", "costumer")}
}

func (OrderPlaced) Fields() []ent.Field {
	return []ent.Field{field.Int("number"), field.String("customer")}
}
