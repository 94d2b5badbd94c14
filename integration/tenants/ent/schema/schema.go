// Package schema has signals in two schemas of one database.
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

// OrderPlaced is a signal in the schema sales.
type OrderPlaced struct{ ent.Schema }

// Mixin of the OrderPlaced.
func (OrderPlaced) Mixin() []ent.Mixin { return []ent.Mixin{mixin.Signal{}} }

// Annotations of the OrderPlaced.
func (OrderPlaced) Annotations() []schema.Annotation {
	return []schema.Annotation{entsql.Schema("sales"), entsignal.BurstCount(2)}
}

// Fields of the OrderPlaced.
func (OrderPlaced) Fields() []ent.Field { return []ent.Field{field.Int("number")} }

// InvoiceIssued is a signal in the schema billing. Its lines go with it.
type InvoiceIssued struct{ ent.Schema }

// Mixin of the InvoiceIssued.
func (InvoiceIssued) Mixin() []ent.Mixin { return []ent.Mixin{mixin.Signal{}} }

// Annotations of the InvoiceIssued.
func (InvoiceIssued) Annotations() []schema.Annotation {
	return []schema.Annotation{
		entsql.Schema("billing"),
		entsignal.AutoFlush(true),
		entsignal.OrderBy(entsignal.Desc("number")),
	}
}

// Fields of the InvoiceIssued.
func (InvoiceIssued) Fields() []ent.Field { return []ent.Field{field.Int("number")} }

// Edges of the InvoiceIssued.
func (InvoiceIssued) Edges() []ent.Edge {
	return []ent.Edge{edge.To("lines", InvoiceLine.Type).Annotations(entsql.OnDelete(entsql.Cascade))}
}

// InvoiceLine is a child of a signal, in the other schema.
type InvoiceLine struct{ ent.Schema }

// Annotations of the InvoiceLine.
func (InvoiceLine) Annotations() []schema.Annotation {
	return []schema.Annotation{entsql.Schema("sales")}
}

// Fields of the InvoiceLine.
func (InvoiceLine) Fields() []ent.Field { return []ent.Field{field.String("text")} }

// Edges of the InvoiceLine.
func (InvoiceLine) Edges() []ent.Edge {
	return []ent.Edge{edge.From("invoice", InvoiceIssued.Type).Ref("lines").Unique().Required()}
}
