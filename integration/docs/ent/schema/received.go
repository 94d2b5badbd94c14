package schema

import (
	"time"

	"entgo.io/ent"

	"github.com/entsignal/signalbus/mixin"
)

// snippet: inbox

type Received struct{ ent.Schema }

func (Received) Mixin() []ent.Mixin {
	return []ent.Mixin{mixin.Inbox{Retention: 14 * 24 * time.Hour}} // the default is a week
}

// end snippet
