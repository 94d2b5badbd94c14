// Package schema has a signal whose child can't be deleted with it.
package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema/edge"

	"github.com/entsignal/signalbus/mixin"
)

type InvoiceIssued struct{ ent.Schema }

func (InvoiceIssued) Mixin() []ent.Mixin { return []ent.Mixin{mixin.Signal{}} }

func (InvoiceIssued) Edges() []ent.Edge {
	return []ent.Edge{edge.To("lines", InvoiceLine.Type).Annotations(entsql.OnDelete(entsql.Cascade))}
}

type InvoiceLine struct{ ent.Schema }

func (InvoiceLine) Edges() []ent.Edge {
	return []ent.Edge{edge.From("invoice", InvoiceIssued.Type).Ref("lines").Unique().Required(), edge.To("taxes", Tax.Type)}
}

type Tax struct{ ent.Schema }

func (Tax) Edges() []ent.Edge {
	return []ent.Edge{edge.From("line", InvoiceLine.Type).Ref("taxes").Unique().Required()}
}
