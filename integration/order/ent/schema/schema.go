// Package schema has signals that are ordered by key.
package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
	"github.com/google/uuid"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/mixin"
)

type signal struct{ ent.Schema }

func (signal) Mixin() []ent.Mixin { return []ent.Mixin{mixin.Signal{}} }

// AccountMoved is ordered by account.
type AccountMoved struct{ signal }

// Annotations of the AccountMoved.
func (AccountMoved) Annotations() []schema.Annotation {
	return []schema.Annotation{entsignal.AutoFlush(false), entsignal.BurstCount(5), entsignal.OrderKey("account")}
}

// Fields of the AccountMoved.
func (AccountMoved) Fields() []ent.Field {
	return []ent.Field{field.Int("account").StorageKey("account_id"), field.Int("number")}
}

// Indexes of the AccountMoved.
func (AccountMoved) Indexes() []ent.Index { return []ent.Index{index.Fields("account")} }

// AccountLocked is as AccountMoved, and its writers wait for each other.
type AccountLocked struct{ AccountMoved }

// Annotations of the AccountLocked.
func (AccountLocked) Annotations() []schema.Annotation {
	return append(AccountMoved{}.Annotations(), entsignal.LockOrderKey())
}

// DocumentChanged is ordered by document, and of one document by revision. It
// has no index, and ids that say nothing.
type DocumentChanged struct{ signal }

// Annotations of the DocumentChanged.
func (DocumentChanged) Annotations() []schema.Annotation {
	return []schema.Annotation{
		entsignal.AutoFlush(false),
		entsignal.OrderKey("document"),
		entsignal.OrderBy(entsignal.Desc("urgent"), "revision"),
	}
}

// Fields of the DocumentChanged.
func (DocumentChanged) Fields() []ent.Field {
	return []ent.Field{
		field.UUID("id", uuid.UUID{}).Default(uuid.New),
		field.UUID("document", uuid.UUID{}),
		field.Bool("urgent").Default(false),
		field.Int("revision"),
	}
}

// LevelReached has an enum as its key.
type LevelReached struct{ signal }

// Annotations of the LevelReached.
func (LevelReached) Annotations() []schema.Annotation {
	return []schema.Annotation{entsignal.AutoFlush(false), entsignal.OrderKey("level")}
}

// Fields of the LevelReached.
func (LevelReached) Fields() []ent.Field {
	return []ent.Field{field.Enum("level").Values("low", "high"), field.Int("number")}
}

// NameGreeted has a text as its key, which is too long for an index in some tests.
type NameGreeted struct{ signal }

// Annotations of the NameGreeted.
func (NameGreeted) Annotations() []schema.Annotation {
	return []schema.Annotation{entsignal.AutoFlush(false), entsignal.OrderKey("name"), entsignal.LockOrderKey(), entsignal.OrderIndex(false)}
}

// Fields of the NameGreeted.
func (NameGreeted) Fields() []ent.Field {
	return []ent.Field{field.String("name"), field.Int("number")}
}

// DoorOpened has no key.
type DoorOpened struct{ signal }

// Annotations of the DoorOpened.
func (DoorOpened) Annotations() []schema.Annotation {
	return []schema.Annotation{entsignal.AutoFlush(false)}
}

// Fields of the DoorOpened.
func (DoorOpened) Fields() []ent.Field { return []ent.Field{field.Int("number")} }

// TaskRanked is ordered by fields of many types, in both directions.
type TaskRanked struct{ signal }

// Annotations of the TaskRanked.
func (TaskRanked) Annotations() []schema.Annotation {
	return []schema.Annotation{entsignal.AutoFlush(false), entsignal.OrderBy("level", entsignal.Desc("at"), "score", entsignal.Desc("title"), "urgent")}
}

// Fields of the TaskRanked.
func (TaskRanked) Fields() []ent.Field {
	return []ent.Field{
		field.Enum("level").Values("low", "high", "extreme"), field.Time("at"), field.Float("score"),
		field.String("title").MaxLen(100), field.Bool("urgent"),
	}
}

// CardDrawn is ordered downwards by everything.
type CardDrawn struct{ signal }

// Annotations of the CardDrawn.
func (CardDrawn) Annotations() []schema.Annotation {
	return []schema.Annotation{entsignal.AutoFlush(false), entsignal.OrderBy(entsignal.Desc("suit"), entsignal.Desc("number"), entsignal.Desc("id"))}
}

// Fields of the CardDrawn.
func (CardDrawn) Fields() []ent.Field {
	return []ent.Field{field.String("suit").MaxLen(100), field.Int("number")}
}

// JobQueued has an order and no index of it.
type JobQueued struct{ signal }

// Annotations of the JobQueued.
func (JobQueued) Annotations() []schema.Annotation {
	return []schema.Annotation{entsignal.AutoFlush(false), entsignal.BurstCount(5000), entsignal.OrderBy(entsignal.Desc("priority")), entsignal.OrderIndex(false)}
}

// Fields of the JobQueued.
func (JobQueued) Fields() []ent.Field { return []ent.Field{field.Int("priority")} }
