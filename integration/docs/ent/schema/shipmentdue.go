package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/field"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/mixin"
)

type ShipmentDue struct{ ent.Schema }

// snippet: traced

func (ShipmentDue) Mixin() []ent.Mixin { return []ent.Mixin{mixin.Signal{}, mixin.Trace{}} }

// end snippet

func (ShipmentDue) Fields() []ent.Field {
	return []ent.Field{field.String("customer"), field.Int("priority")}
}

// snippet: annotations

func (ShipmentDue) Annotations() []schema.Annotation {
	return []schema.Annotation{
		entsignal.AutoFlush(false),
		entsignal.BurstCount(500),
		entsignal.OrderBy("customer", entsignal.Desc("priority")),
	}
}

// end snippet
