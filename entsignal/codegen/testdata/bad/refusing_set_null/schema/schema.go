// Package schema has a child that is to lose its parent, and must not.
package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
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
	return []ent.Edge{edge.To("invoice", InvoiceIssued.Type).Unique().Required().Annotations(entsql.OnDelete(entsql.SetNull))}
}
