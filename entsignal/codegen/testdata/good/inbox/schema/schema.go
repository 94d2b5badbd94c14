// Package schema has inboxes, and a signal that their handlers may record.
package schema

import (
	"time"

	"entgo.io/ent"
	"entgo.io/ent/schema/field"
	"github.com/google/uuid"

	"github.com/entsignal/signalbus/mixin"
)

// Received leaves the retention to the library.
type Received struct{ ent.Schema }

func (Received) Mixin() []ent.Mixin { return []ent.Mixin{mixin.Inbox{}} }

// Seen has an id that the database doesn't give, and a field of its own.
type Seen struct{ ent.Schema }

func (Seen) Mixin() []ent.Mixin { return []ent.Mixin{mixin.Inbox{Retention: 90 * time.Minute}} }

func (Seen) Fields() []ent.Field {
	return []ent.Field{
		field.UUID("id", uuid.UUID{}).Default(uuid.New),
		field.String("note").Optional(),
	}
}

// OrderPlaced is a signal.
type OrderPlaced struct{ ent.Schema }

func (OrderPlaced) Mixin() []ent.Mixin { return []ent.Mixin{mixin.Signal{}} }

func (OrderPlaced) Fields() []ent.Field { return []ent.Field{field.Int("number")} }
