// Package schema has a mixin that is only a part of mixin.Trace.
package schema

import (
	"entgo.io/ent"

	"github.com/entsignal/signalbus/mixin"
)

type half struct{ mixin.Trace }

func (half) Fields() []ent.Field { return mixin.Trace{}.Fields()[:1] }

type OrderPlaced struct{ ent.Schema }

func (OrderPlaced) Mixin() []ent.Mixin { return []ent.Mixin{mixin.Signal{}, half{}} }
