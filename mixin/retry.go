package mixin

import (
	"time"

	"entgo.io/ent"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/mixin"

	"github.com/entsignal/signalbus/internal/annotation"
	"github.com/entsignal/signalbus/internal/retry"
)

// Retry makes the bus keep account of the failures of a signal, in fields of
// its own, so that one that can't be sent isn't tried for ever. It goes beside
// [Signal]:
//
//	func (OrderPlaced) Mixin() []ent.Mixin {
//		return []ent.Mixin{mixin.Signal{}, mixin.Retry{MaxAttempts: 10}}
//	}
//
// A signal whose sending fails waits before it is tried again: MinBackoff at
// first, and twice as long after each further failure, up to MaxBackoff, less a
// random part of up to a half. After MaxAttempts failures, or one that is marked
// by entsignal.Permanent, it is dead: its row stays and is sent no
// more, until it is retried or discarded (Bus.Retry, Bus.Discard, or the
// commands of these names). No attempt is spent by an error that is marked by
// entsignal.Unavailable, by the end of a context, nor for a signal that was not
// tried by itself.
//
// The fields are signal_attempts, signal_retry_at, signal_failed_at and
// signal_error. They are written when sending fails, by the bus only, and are
// no part of the entity's JSON. In the database they are NULL by default, and
// signal_attempts 0, so that rows may be inserted by SQL as before.
type Retry struct {
	mixin.Schema
	// MaxAttempts is how often sending is tried before the signal is dead. It
	// must be 1 or more.
	MaxAttempts int
	// MinBackoff is the pause after the first failure. The default is 10 seconds.
	MinBackoff time.Duration
	// MaxBackoff bounds the pauses. The default is an hour, or MinBackoff if
	// that is more.
	MaxBackoff time.Duration
}

// Annotations implements ent's Mixin.
func (r Retry) Annotations() []schema.Annotation {
	return []schema.Annotation{annotation.Signal{Retry: &annotation.Retry{
		MaxAttempts: r.MaxAttempts,
		MinBackoff:  r.MinBackoff,
		MaxBackoff:  r.MaxBackoff,
	}}}
}

// Fields implements ent's Mixin.
func (Retry) Fields() []ent.Field {
	const hidden = `json:"-"` // a sender may well send the entity as JSON
	skip := notInGraphQL{Skip: skipAll}
	return []ent.Field{
		field.Int(retry.FieldAttempts).Default(0).StructTag(hidden).Annotations(skip).
			Comment("how often sending this signal has failed"),
		field.Time(retry.FieldRetryAt).Optional().Nillable().StructTag(hidden).Annotations(skip).
			Comment("not to be tried before that time"),
		field.Time(retry.FieldFailedAt).Optional().Nillable().StructTag(hidden).Annotations(skip).
			Comment("dead since then"),
		field.Text(retry.FieldError).Optional().Nillable().StructTag(hidden).Annotations(skip).
			Comment("the error of the last attempt"),
	}
}
