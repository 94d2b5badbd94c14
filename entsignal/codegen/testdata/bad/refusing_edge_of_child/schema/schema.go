// Package schema has a signal that doesn't know what keeps it from being deleted.
package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"

	"github.com/entsignal/signalbus/mixin"
)

type InvoiceIssued struct{ ent.Schema }

func (InvoiceIssued) Mixin() []ent.Mixin { return []ent.Mixin{mixin.Signal{}} }

func (InvoiceIssued) Fields() []ent.Field {
	return []ent.Field{field.Int("number")}
}

type InvoiceLine struct{ ent.Schema }

func (InvoiceLine) Edges() []ent.Edge {
	return []ent.Edge{edge.To("invoice", InvoiceIssued.Type).Unique().Required()}
}
