// Package schema has a child that keeps its optional parent.
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
	return []ent.Edge{edge.To("lines", InvoiceLine.Type).Annotations(entsql.OnDelete(entsql.Restrict))}
}

type InvoiceLine struct{ ent.Schema }
