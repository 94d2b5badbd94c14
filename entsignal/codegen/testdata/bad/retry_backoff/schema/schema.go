// Package schema has pauses that make no sense.
package schema

import (
	"time"

	"entgo.io/ent"

	"github.com/entsignal/signalbus/mixin"
)

type OrderPlaced struct{ ent.Schema }

func (OrderPlaced) Mixin() []ent.Mixin {
	return []ent.Mixin{mixin.Signal{}, mixin.Retry{MaxAttempts: 10, MinBackoff: time.Hour, MaxBackoff: time.Minute}}
}

type UserJoined struct{ ent.Schema }

func (UserJoined) Mixin() []ent.Mixin {
	return []ent.Mixin{mixin.Signal{}, mixin.Retry{MaxAttempts: 10, MinBackoff: -time.Second}}
}

type UserLeft struct{ ent.Schema }

func (UserLeft) Mixin() []ent.Mixin {
	return []ent.Mixin{mixin.Signal{}, mixin.Retry{MaxAttempts: 10, MaxBackoff: -time.Second}}
}
