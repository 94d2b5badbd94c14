// Package schema has an inbox that would forget each key at once.
package schema

import (
	"time"

	"entgo.io/ent"

	"github.com/entsignal/signalbus/mixin"
)

type Received struct{ ent.Schema }

func (Received) Mixin() []ent.Mixin { return []ent.Mixin{mixin.Inbox{Retention: -time.Hour}} }
