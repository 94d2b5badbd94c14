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

// Retry records the failures of a signal in extra fields, so that a signal that
// can't be sent isn't tried for ever. Use it together with [Signal]:
//
//	func (OrderPlaced) Mixin() []ent.Mixin {
//		return []ent.Mixin{mixin.Signal{}, mixin.Retry{MaxAttempts: 10}}
//	}
//
// A signal that fails waits before its next attempt: MinBackoff after the first
// failure and twice as long after each further one, up to MaxBackoff, minus a
// random part of up to a half. After MaxAttempts failures, or after an error that
// is marked by entsignal.Permanent, it is dead. Its row stays, and no flush sends
// it until it is retried or discarded (Bus.Retry, Bus.Discard, or the commands of
// these names). These don't count as attempts: an error that is marked by
// entsignal.Unavailable, the end of a context, and a signal that was not tried by
// itself.
//
// The fields are signal_attempts, signal_retry_at, signal_failed_at and
// signal_error. Only the bus writes them, and only when sending fails. The entity's
// JSON leaves them out. In the database they default to NULL, and signal_attempts
// to 0, so rows can still be inserted by SQL without them.
type Retry struct {
	mixin.Schema
	// MaxAttempts is how many attempts fail before the signal is dead. It must be 1
	// or more; there is no default.
	MaxAttempts int
	// MinBackoff is the pause after the first failure. The default is 10 seconds.
	MinBackoff time.Duration
	// MaxBackoff is the longest pause. The default is one hour, or MinBackoff if
	// that is longer.
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
	const hidden = `json:"-"` // a sender may send the entity as JSON
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
