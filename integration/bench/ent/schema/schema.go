// Package schema has the entities that the benchmarks write: one of business
// data, a signal, one with a trace, one with an order and one with a key.
package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/field"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/mixin"
)

// Order is business data.
type Order struct{ ent.Schema }

// Fields of the Order.
func (Order) Fields() []ent.Field { return []ent.Field{field.String("customer")} }

// Event is the signal. Its payload is the body of its message.
type Event struct{ ent.Schema }

// Mixin of the Event.
func (Event) Mixin() []ent.Mixin { return []ent.Mixin{mixin.Signal{}} }

// Fields of the Event.
func (Event) Fields() []ent.Field {
	return []ent.Field{field.Int("order_id"), field.Bytes("payload").MaxLen(1 << 20)}
}

// Traced is a signal with a trace.
type Traced struct{ ent.Schema }

// Mixin of the Traced.
func (Traced) Mixin() []ent.Mixin { return []ent.Mixin{mixin.Signal{}, mixin.Trace{}} }

// Fields of the Traced.
func (Traced) Fields() []ent.Field {
	return []ent.Field{field.Int("order_id"), field.Bytes("payload").MaxLen(1 << 20)}
}

// Ranked is a signal with an order other than that of its id.
type Ranked struct{ ent.Schema }

// Mixin of the Ranked.
func (Ranked) Mixin() []ent.Mixin { return []ent.Mixin{mixin.Signal{}} }

// Annotations of the Ranked.
func (Ranked) Annotations() []schema.Annotation {
	return []schema.Annotation{entsignal.AutoFlush(false), entsignal.OrderBy("rank")}
}

// Fields of the Ranked.
func (Ranked) Fields() []ent.Field {
	return []ent.Field{field.Int("rank"), field.Bytes("payload").MaxLen(1 << 20)}
}

// Moved is a signal whose order matters within an account.
type Moved struct{ ent.Schema }

// Mixin of the Moved.
func (Moved) Mixin() []ent.Mixin { return []ent.Mixin{mixin.Signal{}} }

// Annotations of the Moved.
func (Moved) Annotations() []schema.Annotation {
	return []schema.Annotation{entsignal.AutoFlush(false), entsignal.OrderKey("account")}
}

// Fields of the Moved.
func (Moved) Fields() []ent.Field {
	return []ent.Field{field.Int("account"), field.Bytes("payload").MaxLen(1 << 20)}
}

// Received is the inbox of a consumer.
type Received struct{ ent.Schema }

// Mixin of the Received.
func (Received) Mixin() []ent.Mixin { return []ent.Mixin{mixin.Inbox{}} }
