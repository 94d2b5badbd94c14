package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/field"
)

type Order struct{ ent.Schema }

func (Order) Fields() []ent.Field { return []ent.Field{field.String("customer")} }
