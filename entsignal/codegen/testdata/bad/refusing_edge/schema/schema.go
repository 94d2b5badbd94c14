// Package schema has a signal whose children keep it from being deleted.
package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/edge"

	"github.com/entsignal/signalbus/mixin"
)

type InvoiceIssued struct{ ent.Schema }

func (InvoiceIssued) Mixin() []ent.Mixin { return []ent.Mixin{mixin.Signal{}} }

func (InvoiceIssued) Edges() []ent.Edge {
	return []ent.Edge{edge.To("lines", InvoiceLine.Type)}
}

type InvoiceLine struct{ ent.Schema }

func (InvoiceLine) Edges() []ent.Edge {
	return []ent.Edge{edge.From("invoice", InvoiceIssued.Type).Ref("lines").Unique().Required()}
}
