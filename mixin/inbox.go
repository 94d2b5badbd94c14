package mixin

import (
	"time"

	"entgo.io/ent"
	"entgo.io/ent/dialect"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"
	"entgo.io/ent/schema/mixin"

	"github.com/entsignal/signalbus/internal/annotation"
)

// Inbox makes an entity the inbox of a consumer: a table of the messages that it has
// handled, in the database in which it does its work.
//
//	func (Received) Mixin() []ent.Mixin {
//		return []ent.Mixin{mixin.Inbox{Retention: 7 * 24 * time.Hour}}
//	}
//
// The generated client.Received.Once stores the key of a message and does the work in
// one transaction, and drops a message whose key is there. OnceMany does so for a batch,
// and Purge deletes the keys that are older than the retention.
//
// The fields are source, message_id and received_at, with a unique index on the first
// two. Once inserts its rows by SQL: the entity's hooks and privacy rules don't run, the
// id must be one that the database counts or that has a default, and other fields must
// be optional or have a default of the database (entsql.Default).
//
// With ent's extension entgql an inbox is no part of the GraphQL API, unless its
// schema has an annotation of entgql's own.
type Inbox struct {
	mixin.Schema
	// Retention is how long a key is kept. The default is a week, and the least a
	// second. A message that repeats later is handled again: so it must be longer
	// than a message can be on its way, in the sender's table and in the queue.
	Retention time.Duration
}

// Annotations implements ent's Mixin.
func (i Inbox) Annotations() []schema.Annotation {
	return []schema.Annotation{annotation.Inbox{Retention: i.Retention}, notInGraphQL{Skip: skipAll}}
}

// Fields implements ent's Mixin.
func (Inbox) Fields() []ent.Field {
	return []ent.Field{
		keyField(annotation.FieldSource, "the application that sent the message"),
		keyField(annotation.FieldMessageID, "the id of the message, unique within its source"),
		field.Time(annotation.FieldReceivedAt).Default(utcNow).Immutable().
			Comment("when the message was handled"),
	}
}

// keyField returns a field with one half of a key. MySQL compares texts without their
// case, and without spaces at the end, so two messages could have one key there. It
// compares bytes exactly.
func keyField(name, comment string) ent.Field {
	return field.String(name).NotEmpty().MaxLen(annotation.KeySize).Immutable().
		SchemaType(map[string]string{dialect.MySQL: "varbinary(255)"}).Comment(comment)
}

// Indexes implements ent's Mixin.
func (Inbox) Indexes() []ent.Index {
	return []ent.Index{
		index.Fields(annotation.FieldSource, annotation.FieldMessageID).Unique(),
		index.Fields(annotation.FieldReceivedAt),
	}
}

// utcNow returns the time as SQLite can compare it, which keeps times as texts.
func utcNow() time.Time { return time.Now().UTC() }
