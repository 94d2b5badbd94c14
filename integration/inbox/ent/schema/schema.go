// Package schema has a consumer: an account that messages change, the inboxes that know
// the messages, and a signal that the consumer sends itself.
package schema

import (
	"time"

	"entgo.io/ent"
	"entgo.io/ent/schema/field"
	"github.com/google/uuid"

	"github.com/entsignal/signalbus/mixin"
)

// Account is business data.
type Account struct{ ent.Schema }

// Fields of the Account.
func (Account) Fields() []ent.Field {
	return []ent.Field{
		field.String("owner").Unique(),
		field.Int("balance").Default(0),
	}
}

// Line is one effect of one message. It may be there more than once.
type Line struct{ ent.Schema }

// Fields of the Line.
func (Line) Fields() []ent.Field { return []ent.Field{field.String("message")} }

// Received is an inbox.
type Received struct{ ent.Schema }

// Mixin makes it an inbox.
func (Received) Mixin() []ent.Mixin { return []ent.Mixin{mixin.Inbox{Retention: time.Hour}} }

// Seen is another inbox, with ids that the database doesn't give and a field of its own.
type Seen struct{ ent.Schema }

// Mixin makes it an inbox.
func (Seen) Mixin() []ent.Mixin { return []ent.Mixin{mixin.Inbox{}} }

// Fields of the Seen.
func (Seen) Fields() []ent.Field {
	return []ent.Field{
		field.UUID("id", uuid.UUID{}).Default(uuid.New),
		field.String("note").Optional(),
	}
}

// Credited is the signal that the consumer records while it handles a message.
type Credited struct{ ent.Schema }

// Mixin makes it a signal.
func (Credited) Mixin() []ent.Mixin { return []ent.Mixin{mixin.Signal{}} }

// Fields of the Credited.
func (Credited) Fields() []ent.Field { return []ent.Field{field.String("message")} }
