// Package schema doesn't say how often to try.
package schema

import (
	"entgo.io/ent"

	"github.com/entsignal/signalbus/mixin"
)

type OrderPlaced struct{ ent.Schema }

func (OrderPlaced) Mixin() []ent.Mixin { return []ent.Mixin{mixin.Signal{}, mixin.Retry{}} }

type UserJoined struct{ ent.Schema }

func (UserJoined) Mixin() []ent.Mixin {
	return []ent.Mixin{mixin.Signal{}, mixin.Retry{MaxAttempts: -1}}
}
