// Package schema has a column with the name of one of mixin.Retry.
package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/field"

	"github.com/entsignal/signalbus/mixin"
)

type OrderPlaced struct{ ent.Schema }

func (OrderPlaced) Mixin() []ent.Mixin {
	return []ent.Mixin{mixin.Signal{}, mixin.Retry{MaxAttempts: 10}}
}

func (OrderPlaced) Fields() []ent.Field {
	return []ent.Field{field.String("reason").StorageKey("signal_error")}
}
