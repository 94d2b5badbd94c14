// Package schema has what the crash test commits: updates of keys, a signal
// for each update, and a ledger of what was committed.
package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/field"
	entmixin "entgo.io/ent/schema/mixin"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/mixin"
)

// Key is what transactions update. Its row lets those of one key come one
// after the other.
type Key struct{ ent.Schema }

// Fields of the Key.
func (Key) Fields() []ent.Field {
	return []ent.Field{field.Int("n").Default(0).Comment("how many updates were committed")}
}

// Entry is a line of the ledger: the update was committed. It is never
// deleted.
type Entry struct{ ent.Schema }

// Fields of the Entry.
func (Entry) Fields() []ent.Field {
	return []ent.Field{field.String("id").MaxLen(40)}
}

// update has the fields of both signals.
type update struct{ entmixin.Schema }

// Fields of the update.
func (update) Fields() []ent.Field {
	return []ent.Field{
		field.String("entry").MaxLen(40).Comment("the ledger's id of the update"),
		field.Int("key"),
		field.Int("n").Comment("the number of the update among those of its key"),
	}
}

// Posted is a signal whose order is that of its ids.
type Posted struct{ ent.Schema }

// Mixin makes it a signal.
func (Posted) Mixin() []ent.Mixin { return []ent.Mixin{mixin.Signal{}, update{}} }

// Moved is a signal whose keys are sent side by side.
type Moved struct{ ent.Schema }

// Mixin makes it a signal.
func (Moved) Mixin() []ent.Mixin { return []ent.Mixin{mixin.Signal{}, update{}} }

// Annotations of the Moved.
func (Moved) Annotations() []schema.Annotation {
	return []schema.Annotation{entsignal.AutoFlush(false), entsignal.OrderKey("key")}
}

// Changed is a signal whose order is that of the updates of each key.
type Changed struct{ ent.Schema }

// Mixin makes it a signal.
func (Changed) Mixin() []ent.Mixin { return []ent.Mixin{mixin.Signal{}, update{}} }

// Annotations of the Changed.
func (Changed) Annotations() []schema.Annotation {
	return []schema.Annotation{
		entsignal.AutoFlush(false),
		entsignal.OrderBy("key", "n"),
	}
}
