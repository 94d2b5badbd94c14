// Package schema has signals that are traced.
package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/field"

	"github.com/entsignal/signalbus/mixin"
)

// OrderPlaced has all mixins of a signal.
type OrderPlaced struct{ ent.Schema }

func (OrderPlaced) Mixin() []ent.Mixin {
	return []ent.Mixin{mixin.Signal{}, mixin.Retry{MaxAttempts: 10}, mixin.Trace{}}
}

func (OrderPlaced) Fields() []ent.Field { return []ent.Field{field.Int("number")} }

// UserJoined has no failures. The order of the mixins doesn't matter.
type UserJoined struct{ ent.Schema }

func (UserJoined) Mixin() []ent.Mixin { return []ent.Mixin{mixin.Trace{}, mixin.Signal{}} }
