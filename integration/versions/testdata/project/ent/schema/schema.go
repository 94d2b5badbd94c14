// Package schema has what generated code of each kind is made of.
package schema

import (
	"context"

	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/mixin"
)

type signal struct{ ent.Schema }

func (signal) Mixin() []ent.Mixin { return []ent.Mixin{mixin.Signal{}} }

// Order is business data.
type Order struct{ ent.Schema }

func (Order) Fields() []ent.Field { return []ent.Field{field.Int("total").Default(0)} }

func (Order) Edges() []ent.Edge {
	return []ent.Edge{edge.To("events", OrderPlaced.Type).Annotations(entsql.OnDelete(entsql.Cascade))}
}

// OrderPlaced has a hook of its own, an edge, a child, and a row for each code.
type OrderPlaced struct{ signal }

func (OrderPlaced) Fields() []ent.Field {
	return []ent.Field{
		field.Int("number"),
		field.String("code").Optional().Nillable().Unique(),
		field.Enum("config").Values("a", "b").Default("a"),
	}
}

func (OrderPlaced) Edges() []ent.Edge {
	return []ent.Edge{
		edge.From("order", Order.Type).Ref("events").Unique(),
		edge.To("lines", Line.Type).Annotations(entsql.OnDelete(entsql.Cascade)),
	}
}

func (OrderPlaced) Hooks() []ent.Hook {
	return []ent.Hook{func(next ent.Mutator) ent.Mutator {
		return ent.MutateFunc(func(ctx context.Context, m ent.Mutation) (ent.Value, error) { return next.Mutate(ctx, m) })
	}}
}

// Line goes with its signal.
type Line struct{ ent.Schema }

func (Line) Edges() []ent.Edge {
	return []ent.Edge{edge.From("event", OrderPlaced.Type).Ref("lines").Unique()}
}

// StockCounted waits for a flush.
type StockCounted struct{ signal }

func (StockCounted) Fields() []ent.Field {
	return []ent.Field{field.String("id"), field.Int("number")}
}

func (StockCounted) Annotations() []schema.Annotation {
	return []schema.Annotation{entsignal.AutoFlush(false), entsignal.OrderBy("-number"), entsignal.BurstCount(2)}
}

// PriceSet locks its key.
type PriceSet struct{ signal }

func (PriceSet) Fields() []ent.Field { return []ent.Field{field.Int("article"), field.Int("number")} }

func (PriceSet) Annotations() []schema.Annotation {
	return []schema.Annotation{entsignal.AutoFlush(true), entsignal.OrderKey("article"), entsignal.LockOrderKey()}
}

// MailSent is tried again.
type MailSent struct{ ent.Schema }

func (MailSent) Mixin() []ent.Mixin { return []ent.Mixin{mixin.Signal{}, mixin.Retry{MaxAttempts: 3}} }

func (MailSent) Fields() []ent.Field { return []ent.Field{field.Int("number")} }
