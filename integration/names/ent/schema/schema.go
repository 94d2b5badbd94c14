// Package schema has signals whose names are those of the library's own
// things, and of what generated code imports.
package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/mixin"
)

// base is a signal with the fields that all of them have.
type base struct{ ent.Schema }

func (base) Mixin() []ent.Mixin { return []ent.Mixin{mixin.Signal{}} }

func (base) Fields() []ent.Field {
	return []ent.Field{
		field.Int("number"),
		field.String("info").Default("info"),
		field.String("ctx").Default("ctx"),
		field.String("entsignal").Default("entsignal"),
		field.String("bus").Default("bus"),
		field.String("config").Default("config"),
		field.Int("hooks").Default(1),
		field.Int("entsignal_group").Default(1),
		field.Strings("senders").Optional(),
		field.Int("flush").Default(1),
		field.Int("send").Default(1),
		field.Int("mutation").Default(1),
		field.Int("driver").Default(1),
	}
}

// awkward is a signal with a field that is called like a bus.
type awkward struct{ base }

func (awkward) Fields() []ent.Field {
	return append(base{}.Fields(), field.String("signal_bus").Default("signal_bus"))
}

// Signal is called like the library's type.
type Signal struct{ awkward }

// Edges of the Signal.
func (Signal) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("bulk", Group.Type).Unique(),
		edge.To("with", Group.Type),
	}
}

// SignalBus is called like the generated file.
type SignalBus struct{ awkward }

// EntSignal has the package name of the library.
type EntSignal struct{ awkward }

// Edges of the EntSignal.
func (EntSignal) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("signal_buses", SignalBus.Type),
		edge.To("group", Group.Type).Annotations(entsql.OnDelete(entsql.Cascade)),
	}
}

// Batch has an edge that is called like a bus.
type Batch struct{ base }

// Annotations of the Batch.
func (Batch) Annotations() []schema.Annotation {
	return []schema.Annotation{
		entsignal.AutoFlush(true),
		entsignal.OrderBy("entsignal", entsignal.Desc("bus"), "info", "ctx", "number"),
	}
}

// Edges of the Batch.
func (Batch) Edges() []ent.Edge {
	return []ent.Edge{edge.To("signal_bus", SignalBus.Type).Unique()}
}

// Context, Sender and those below are called like types and packages that
// generated code uses.
type Context struct{ awkward }

// Sender is one of those.
type Sender struct{ awkward }

// Bus is one of those.
type Bus struct{ awkward }

// SignalHooks is one of those.
type SignalHooks struct{ awkward }

// Dialect is one of those.
type Dialect struct{ awkward }

// Model is one of those.
type Model struct{ awkward }

// Info is one of those.
type Info struct{ awkward }

// Deletion is one of those.
type Deletion struct{ awkward }

// Flush is one of those.
type Flush struct{ awkward }

// Group is no signal.
type Group struct{ ent.Schema }

// Fields of the Group.
func (Group) Fields() []ent.Field { return []ent.Field{field.String("entsignal").Default("")} }

// Edges of the Group.
func (Group) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("signal_bus", SignalBus.Type).Unique(),
		edge.From("ent_signal", EntSignal.Type).Ref("group").Unique(),
	}
}
