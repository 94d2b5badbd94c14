// Package schema is that of the case tuned, with no signal and no ShipmentDue.
package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/field"
)

type Order struct{ ent.Schema }

type Measured struct{ ent.Schema }

func (Measured) Fields() []ent.Field { return []ent.Field{field.Time("at")} }
