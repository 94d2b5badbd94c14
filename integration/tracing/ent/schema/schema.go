// Package schema has signals with a trace, and one without.
package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/field"
	"github.com/google/uuid"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/mixin"
)

// OrderPlaced has all mixins of a signal, and an autoflush.
type OrderPlaced struct{ ent.Schema }

func (OrderPlaced) Mixin() []ent.Mixin {
	return []ent.Mixin{mixin.Signal{}, mixin.Retry{MaxAttempts: 2}, mixin.Trace{}}
}

func (OrderPlaced) Fields() []ent.Field {
	return []ent.Field{field.Int("number").Unique(), field.String("customer").Default("")}
}

// UserJoined has ids that don't say which is the oldest, and is sent by flushes.
type UserJoined struct{ ent.Schema }

func (UserJoined) Mixin() []ent.Mixin { return []ent.Mixin{mixin.Signal{}, mixin.Trace{}} }

func (UserJoined) Annotations() []schema.Annotation {
	return []schema.Annotation{entsignal.AutoFlush(false), entsignal.BurstCount(500)}
}

func (UserJoined) Fields() []ent.Field {
	return []ent.Field{field.UUID("id", uuid.UUID{}).Default(uuid.New), field.Int("number")}
}

// AuditLogged has no trace.
type AuditLogged struct{ ent.Schema }

func (AuditLogged) Mixin() []ent.Mixin { return []ent.Mixin{mixin.Signal{}} }

func (AuditLogged) Annotations() []schema.Annotation {
	return []schema.Annotation{entsignal.AutoFlush(false), entsignal.BurstCount(500)}
}

func (AuditLogged) Fields() []ent.Field { return []ent.Field{field.Int("number")} }
