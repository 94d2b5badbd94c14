package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/field"

	"github.com/entsignal/signalbus/mixin"
)

type OrderPlaced struct{ ent.View }

func (OrderPlaced) Mixin() []ent.Mixin { return []ent.Mixin{mixin.Signal{}} }

func (OrderPlaced) Fields() []ent.Field { return []ent.Field{field.Int("number")} }
