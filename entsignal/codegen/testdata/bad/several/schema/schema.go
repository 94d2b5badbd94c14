// Package schema has more than one error, in more than one entity.
package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/mixin"
)

type OrderPlaced struct{ ent.Schema }

func (OrderPlaced) Mixin() []ent.Mixin { return []ent.Mixin{mixin.Signal{}} }

func (OrderPlaced) Annotations() []schema.Annotation {
	return []schema.Annotation{entsignal.AutoFlush(false), entsignal.BurstCount(0), entsignal.OrderBy("customer", "costumer", "tags")}
}

func (OrderPlaced) Fields() []ent.Field {
	return []ent.Field{field.String("customer"), field.Strings("tags")}
}

func (OrderPlaced) Edges() []ent.Edge {
	return []ent.Edge{edge.To("lines", Line.Type)}
}

type OrderPlacedWith struct{ ent.Schema }

func (OrderPlacedWith) Mixin() []ent.Mixin { return []ent.Mixin{mixin.Signal{}} }

func (OrderPlacedWith) Fields() []ent.Field {
	return []ent.Field{field.Int("number"), field.String("customer")}
}

type Line struct{ ent.Schema }

func (Line) Edges() []ent.Edge {
	return []ent.Edge{edge.From("order", OrderPlaced.Type).Ref("lines").Unique().Required()}
}

type UserJoined struct{ ent.Schema }

func (UserJoined) Annotations() []schema.Annotation {
	return []schema.Annotation{entsignal.BurstCount(5)}
}

func (UserJoined) Fields() []ent.Field {
	return []ent.Field{field.Int("number"), field.String("customer")}
}

type SignalSenders struct{ ent.Schema }
