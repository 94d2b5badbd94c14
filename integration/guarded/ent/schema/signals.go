// Package schema has signals that a project guards by all means that ent has:
// a policy, interceptors and hooks.
package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/mixin"
)

// DocumentShared has guards that pretend to delete.
type DocumentShared struct{ ent.Schema }

// Mixin of the DocumentShared.
func (DocumentShared) Mixin() []ent.Mixin { return []ent.Mixin{mixin.Signal{}, softDelete{}} }

// Annotations of the DocumentShared.
func (DocumentShared) Annotations() []schema.Annotation {
	return []schema.Annotation{
		entsignal.AutoFlush(true),
		entsignal.OrderBy(entsignal.Desc("number")),
		entsignal.BurstCount(2),
	}
}

// Fields of the DocumentShared.
func (DocumentShared) Fields() []ent.Field { return []ent.Field{field.Int("number")} }

// Edges of the DocumentShared.
func (DocumentShared) Edges() []ent.Edge {
	return []ent.Edge{edge.To("attachments", Attachment.Type).Annotations(entsql.OnDelete(entsql.Cascade))}
}

// DocumentPrinted has guards that refuse to delete.
type DocumentPrinted struct{ ent.Schema }

// Mixin of the DocumentPrinted.
func (DocumentPrinted) Mixin() []ent.Mixin { return []ent.Mixin{mixin.Signal{}, guarded{}} }

// Fields of the DocumentPrinted.
func (DocumentPrinted) Fields() []ent.Field { return []ent.Field{field.Int("number")} }

// Hooks of the DocumentPrinted.
func (DocumentPrinted) Hooks() []ent.Hook { return []ent.Hook{rejectDeletion} }

// Attachment goes with its document.
type Attachment struct{ ent.Schema }

// Mixin of the Attachment.
func (Attachment) Mixin() []ent.Mixin { return []ent.Mixin{softDelete{}} }

// Fields of the Attachment.
func (Attachment) Fields() []ent.Field { return []ent.Field{field.String("name")} }

// Edges of the Attachment.
func (Attachment) Edges() []ent.Edge {
	return []ent.Edge{edge.From("document", DocumentShared.Type).Ref("attachments").Unique().Required()}
}
