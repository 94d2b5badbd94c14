// Package schema has signals whose failures are kept account of.
package schema

import (
	"time"

	"entgo.io/ent"
	"entgo.io/ent/schema/field"

	"github.com/entsignal/signalbus/mixin"
)

// OrderPlaced leaves the pauses to the library.
type OrderPlaced struct{ ent.Schema }

func (OrderPlaced) Mixin() []ent.Mixin {
	return []ent.Mixin{mixin.Signal{}, mixin.Retry{MaxAttempts: 10}}
}

func (OrderPlaced) Fields() []ent.Field {
	return []ent.Field{field.Int("number"), field.String("customer")}
}

// UserJoined sets them. The order of the mixins doesn't matter.
type UserJoined struct{ ent.Schema }

func (UserJoined) Mixin() []ent.Mixin {
	return []ent.Mixin{
		mixin.Retry{MaxAttempts: 3, MinBackoff: 1500 * time.Millisecond, MaxBackoff: 5 * time.Minute},
		mixin.Signal{},
	}
}

// UserLeft is given up by nobody.
type UserLeft struct{ ent.Schema }

func (UserLeft) Mixin() []ent.Mixin { return []ent.Mixin{mixin.Signal{}} }
