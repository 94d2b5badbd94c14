// Package schema has signals that are ordered by key.
package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/field"
	"github.com/google/uuid"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/mixin"
)

type AccountMoved struct{ ent.Schema }

func (AccountMoved) Mixin() []ent.Mixin { return []ent.Mixin{mixin.Signal{}} }

func (AccountMoved) Annotations() []schema.Annotation {
	return []schema.Annotation{entsignal.AutoFlush(false), entsignal.OrderKey("account"), entsignal.LockOrderKey()}
}

func (AccountMoved) Fields() []ent.Field {
	return []ent.Field{field.Int("account").StorageKey("account_id"), field.Int("amount")}
}

type DocumentChanged struct{ ent.Schema }

func (DocumentChanged) Mixin() []ent.Mixin { return []ent.Mixin{mixin.Signal{}} }

func (DocumentChanged) Annotations() []schema.Annotation {
	return []schema.Annotation{entsignal.AutoFlush(false), entsignal.OrderBy("revision"), entsignal.OrderKey("document")}
}

func (DocumentChanged) Fields() []ent.Field {
	return []ent.Field{field.UUID("document", uuid.UUID{}), field.Int("revision")}
}
