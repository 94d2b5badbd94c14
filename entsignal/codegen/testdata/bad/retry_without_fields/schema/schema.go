// Package schema has a policy of which nothing can be kept account.
package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/field"

	"github.com/entsignal/signalbus/internal/annotation"
	"github.com/entsignal/signalbus/mixin"
)

type OrderPlaced struct{ ent.Schema }

func (OrderPlaced) Mixin() []ent.Mixin { return []ent.Mixin{mixin.Signal{}} }

func (OrderPlaced) Annotations() []schema.Annotation {
	return []schema.Annotation{annotation.Signal{Retry: &annotation.Retry{MaxAttempts: 3}}}
}

func (OrderPlaced) Fields() []ent.Field {
	return []ent.Field{field.Int("signal_attempts"), field.Time("signal_retry_at").StorageKey("later")}
}
