// Package schema has an inbox with a mixin around it that leaves out the indexes.
package schema

import (
	"entgo.io/ent"

	"github.com/entsignal/signalbus/mixin"
)

type bare struct{ mixin.Inbox }

func (bare) Indexes() []ent.Index { return nil }

type Received struct{ ent.Schema }

func (Received) Mixin() []ent.Mixin { return []ent.Mixin{bare{}} }
