// Package schema orders a signal by a field of bytes.
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
	return []schema.Annotation{entsignal.AutoFlush(false), entsignal.OrderBy("payload")}
}

func (OrderPlaced) Fields() []ent.Field {
	return []ent.Field{field.Bytes("payload")}
}
