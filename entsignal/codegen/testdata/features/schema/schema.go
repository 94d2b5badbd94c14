// Package schema has what ent's features and awkward names make of signals.
package schema

import (
	"context"
	"time"

	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
	entmixin "entgo.io/ent/schema/mixin"

	ids "example.com/project/ent/schema/ids-go"
	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/mixin"
)

type entity struct{ ent.Schema }

func (entity) Mixin() []ent.Mixin { return []ent.Mixin{inSchema{}} }

type signal struct{ ent.Schema }

func (signal) Mixin() []ent.Mixin { return []ent.Mixin{inSchema{}, mixin.Signal{}} }

type inSchema struct{ entmixin.Schema }

func (inSchema) Annotations() []schema.Annotation { return []schema.Annotation{entsql.Schema("one")} }

// Signal has a policy, a hook and an interceptor of its own.
type Signal struct{ signal }

func (Signal) Fields() []ent.Field {
	return []ent.Field{
		field.Time("at").Default(time.Now),
		field.String("signal_bus").Unique(),
		field.String("entsignal"),
		field.Int("config"),
		field.Int("driver"),
		field.String("hooks"),
		field.String("bus"),
		field.String("info"),
		field.String("sql"),
		field.String("ent"),
		field.String("dialect"),
		field.String("context"),
		field.String("type"),
		field.String("Group"),
		field.Int("entsignalRow"),
		field.Strings("signals"),
	}
}

func (Signal) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("with", SignalBus.Type).Annotations(entsql.OnDelete(entsql.Cascade)),
		edge.To("next", Signal.Type).Unique().From("previous").Unique(),
		edge.To("children", Signal.Type).From("parent").Unique(),
		edge.To("entsignalClient", Tag.Type),
		edge.To("tags", Tag.Type).Through("taggings", Tagging.Type),
	}
}

func (Signal) Annotations() []schema.Annotation {
	return []schema.Annotation{entsignal.AutoFlush(true), entsignal.OrderBy("driver", "config")}
}

func (Signal) Policy() ent.Policy { return policy{} }

func (Signal) Hooks() []ent.Hook {
	return []ent.Hook{func(next ent.Mutator) ent.Mutator { return next }}
}

func (Signal) Interceptors() []ent.Interceptor {
	return []ent.Interceptor{ent.InterceptFunc(func(next ent.Querier) ent.Querier { return next })}
}

type policy struct{}

func (policy) EvalMutation(context.Context, ent.Mutation) error { return nil }
func (policy) EvalQuery(context.Context, ent.Query) error       { return nil }

// SignalBus is a child of a signal, and a signal itself.
type SignalBus struct{ signal }

func (SignalBus) Edges() []ent.Edge {
	return []ent.Edge{edge.From("signal_bus", Signal.Type).Ref("with").Unique().Required()}
}

// Tag is shared.
type Tag struct{ entity }

func (Tag) Edges() []ent.Edge {
	return []ent.Edge{edge.From("signals", Signal.Type).Ref("tags").Through("taggings", Tagging.Type)}
}

// Tagging has no id.
type Tagging struct{ entity }

func (Tagging) Annotations() []schema.Annotation {
	return []schema.Annotation{field.ID("signal_id", "tag_id")}
}

func (Tagging) Fields() []ent.Field {
	return []ent.Field{field.Int("signal_id"), field.Int("tag_id")}
}

func (Tagging) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("signal", Signal.Type).Unique().Required().Field("signal_id").Annotations(entsql.OnDelete(entsql.Cascade)),
		edge.To("tag", Tag.Type).Unique().Required().Field("tag_id"),
	}
}

// EntSignal is ordered by an edge field, and lies in another schema.
type EntSignal struct{ signal }

func (EntSignal) Fields() []ent.Field {
	return []ent.Field{field.Int("user_id").StorageKey("uid"), field.Bytes("payload")}
}

func (EntSignal) Edges() []ent.Edge {
	return []ent.Edge{edge.From("user", Context.Type).Ref("sent").Field("user_id").Unique().Required()}
}

func (EntSignal) Indexes() []ent.Index { return []ent.Index{index.Fields("user_id")} }

func (EntSignal) Annotations() []schema.Annotation {
	return []schema.Annotation{entsignal.AutoFlush(false), entsignal.OrderBy("-user_id"), entsql.Schema("two")}
}

// Context is an entity called like a package.
type Context struct{ entity }

func (Context) Edges() []ent.Edge { return []ent.Edge{edge.To("sent", EntSignal.Type)} }

// URL_sent has an underscore, and an id of a package whose path is misleading.
type URL_sent struct{ signal }

func (URL_sent) Fields() []ent.Field {
	return []ent.Field{field.String("id").GoType(ids.Courier(""))}
}

// Batch and its like are words of the library.
type (
	Batch  struct{ signal }
	Mode   struct{ signal }
	Sender struct{ signal }
	Bus    struct{ signal }
	Item   struct{ signal }
	Each   struct{ signal }
)

// OpenSignal is a view.
type OpenSignal struct{ ent.View }

func (OpenSignal) Annotations() []schema.Annotation {
	return []schema.Annotation{entsql.Schema("one"), entsql.View("SELECT signal_bus FROM signals")}
}

func (OpenSignal) Fields() []ent.Field { return []ent.Field{field.String("signal_bus")} }

// Once is an inbox, with an id of a package whose path is misleading.
type Once struct{ entity }

func (Once) Mixin() []ent.Mixin { return []ent.Mixin{inSchema{}, mixin.Inbox{}} }

func (Once) Fields() []ent.Field {
	return []ent.Field{
		field.String("id").GoType(ids.Courier("")).DefaultFunc(func() ids.Courier { return "" }),
		field.String("table").Optional(),
	}
}
