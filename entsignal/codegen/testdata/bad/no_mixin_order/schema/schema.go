// Package schema tunes an entity that isn't a signal.
package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/field"

	"github.com/entsignal/signalbus/entsignal"
)

type OrderPlaced struct{ ent.Schema }

func (OrderPlaced) Annotations() []schema.Annotation {
	return []schema.Annotation{entsignal.OrderBy("customer"), entsignal.AutoFlush(false)}
}

func (OrderPlaced) Fields() []ent.Field {
	return []ent.Field{field.Int("number"), field.String("customer")}
}
