// Package schema has a column with the name of one of mixin.Trace.
package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/field"

	"github.com/entsignal/signalbus/mixin"
)

type OrderPlaced struct{ ent.Schema }

func (OrderPlaced) Mixin() []ent.Mixin { return []ent.Mixin{mixin.Signal{}, mixin.Trace{}} }

func (OrderPlaced) Fields() []ent.Field {
	return []ent.Field{field.String("parent").StorageKey("signal_traceparent")}
}
