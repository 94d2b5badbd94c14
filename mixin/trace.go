package mixin

import (
	"entgo.io/ent"
	"entgo.io/ent/dialect"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/mixin"

	"github.com/entsignal/signalbus/internal/annotation"
	"github.com/entsignal/signalbus/internal/trace"
)

// Trace stores with each signal when it was recorded, and in which trace. Use it
// together with [Signal], and with [Retry] if you like:
//
//	func (OrderPlaced) Mixin() []ent.Mixin {
//		return []ent.Mixin{mixin.Signal{}, mixin.Trace{}}
//	}
//
// With the time, the lag of entsignal.Sent and the age of the oldest pending signal are
// exact. It is the time of the application that creates the signal, before its
// transaction is committed: if the clocks of your machines differ, so do lag and age.
//
// With the trace, a message continues the trace of the request that has caused it, even
// if another process sends it later. That needs a bus that knows a tracing system, such
// as by otelsignal.Instrument, on the client that creates the signal. Without one, and
// outside of a span, no trace is stored.
//
// The fields are signal_recorded_at, signal_traceparent and signal_tracestate, the last
// two as in W3C Trace Context. They are set when a signal is created and don't change:
// an upsert that finds the signal leaves them alone. Fields that you set yourself stay
// as they are. All may be NULL, so rows can still be inserted by SQL without them. The
// entity's JSON leaves them out.
//
// The time is a default of ent. If the schema has hooks, ent needs the import of its
// generated package runtime for it, as for any default.
type Trace struct{ mixin.Schema }

// Annotations implements ent's Mixin.
func (Trace) Annotations() []schema.Annotation {
	return []schema.Annotation{annotation.Signal{Trace: true}}
}

// Fields implements ent's Mixin.
func (Trace) Fields() []ent.Field {
	const hidden = `json:"-"` // a sender may send the entity as JSON
	skip := notInGraphQL{Skip: skipAll}
	return []ent.Field{
		// MySQL's timestamp has whole seconds, and what it means depends on the session.
		field.Time(trace.FieldRecordedAt).Default(utcNow).Optional().Nillable().Immutable().
			SchemaType(map[string]string{dialect.MySQL: "datetime(6)"}).StructTag(hidden).Annotations(skip).
			Comment("when the application created this signal"),
		field.String(trace.FieldTraceparent).Optional().Nillable().Immutable().
			SchemaType(map[string]string{dialect.MySQL: "varchar(255)"}).StructTag(hidden).Annotations(skip).
			Comment("the trace context of the span that created this signal"),
		field.String(trace.FieldTracestate).Optional().Nillable().Immutable().
			SchemaType(map[string]string{dialect.MySQL: "varchar(512)"}).StructTag(hidden).Annotations(skip).
			Comment("what tracing systems add to the trace context"),
	}
}
