// Package schema has the signals whose failures the tests cause.
package schema

import (
	"time"

	"entgo.io/ent"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/field"
	"github.com/google/uuid"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/integration/shop/kinds"
	"github.com/entsignal/signalbus/mixin"
)

// JobQueued is sent by flushes, many at once.
type JobQueued struct{ ent.Schema }

func (JobQueued) Mixin() []ent.Mixin {
	return []ent.Mixin{mixin.Signal{}, mixin.Retry{MaxAttempts: 3, MinBackoff: time.Hour, MaxBackoff: 3 * time.Hour}}
}

func (JobQueued) Annotations() []schema.Annotation {
	return []schema.Annotation{entsignal.AutoFlush(false), entsignal.BurstCount(500)}
}

func (JobQueued) Fields() []ent.Field {
	return []ent.Field{field.Int("number"), field.String("payload").Default("")}
}

// MailWanted is sent by autoflushes.
type MailWanted struct{ ent.Schema }

func (MailWanted) Mixin() []ent.Mixin {
	return []ent.Mixin{mixin.Signal{}, mixin.Retry{MaxAttempts: 10}}
}

func (MailWanted) Fields() []ent.Field {
	return []ent.Field{field.UUID("id", uuid.UUID{}).Default(uuid.New), field.Int("number")}
}

// BadgeGiven has an id of a type of its own.
type BadgeGiven struct{ ent.Schema }

func (BadgeGiven) Mixin() []ent.Mixin {
	return []ent.Mixin{mixin.Signal{}, mixin.Retry{MaxAttempts: 1}}
}

func (BadgeGiven) Annotations() []schema.Annotation {
	return []schema.Annotation{entsignal.AutoFlush(false)}
}

func (BadgeGiven) Fields() []ent.Field {
	return []ent.Field{
		field.String("id").GoType(kinds.BadgeID("")).DefaultFunc(kinds.NewBadgeID).MaxLen(50),
		field.Int("number"),
	}
}

// StepDone is sent in its order.
type StepDone struct{ ent.Schema }

func (StepDone) Mixin() []ent.Mixin {
	return []ent.Mixin{mixin.Signal{}, mixin.Retry{MaxAttempts: 2, MinBackoff: time.Hour}}
}

func (StepDone) Annotations() []schema.Annotation {
	return []schema.Annotation{entsignal.AutoFlush(false), entsignal.BurstCount(4), entsignal.OrderBy("number")}
}

func (StepDone) Fields() []ent.Field { return []ent.Field{field.Int("number")} }

// LineMoved is sent in an order of its own for each line.
type LineMoved struct{ ent.Schema }

func (LineMoved) Mixin() []ent.Mixin {
	return []ent.Mixin{mixin.Signal{}, mixin.Retry{MaxAttempts: 2}}
}

func (LineMoved) Annotations() []schema.Annotation {
	return []schema.Annotation{entsignal.AutoFlush(false), entsignal.BurstCount(4), entsignal.OrderKey("line")}
}

func (LineMoved) Fields() []ent.Field {
	return []ent.Field{field.String("line").Immutable(), field.Int("number")}
}

// NoteTaken is a signal of whose failures no account is kept.
type NoteTaken struct{ ent.Schema }

func (NoteTaken) Mixin() []ent.Mixin { return []ent.Mixin{mixin.Signal{}} }

func (NoteTaken) Annotations() []schema.Annotation {
	return []schema.Annotation{entsignal.AutoFlush(false), entsignal.BurstCount(500)}
}

func (NoteTaken) Fields() []ent.Field { return []ent.Field{field.Int("number")} }
