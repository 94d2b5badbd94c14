// Package schema has one plain signal beside an entity.
package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/field"

	"github.com/entsignal/signalbus/mixin"
)

type Order struct{ ent.Schema }

type OrderPlaced struct{ ent.Schema }

func (OrderPlaced) Mixin() []ent.Mixin { return []ent.Mixin{mixin.Signal{}} }

func (OrderPlaced) Fields() []ent.Field {
	return []ent.Field{field.Int("number"), field.String("customer")}
}
