// Package schema makes a view a signal.
package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/field"

	"github.com/entsignal/signalbus/mixin"
)

type Order struct{ ent.Schema }

func (Order) Fields() []ent.Field { return []ent.Field{field.Int("number")} }

type OpenOrder struct{ ent.View }

func (OpenOrder) Mixin() []ent.Mixin { return []ent.Mixin{mixin.Signal{}} }

func (OpenOrder) Annotations() []schema.Annotation {
	return []schema.Annotation{entsql.View("SELECT number FROM orders")}
}

func (OpenOrder) Fields() []ent.Field { return []ent.Field{field.Int("number")} }
