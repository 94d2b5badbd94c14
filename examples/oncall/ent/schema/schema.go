// Package schema has the messages of the demo.
package schema

import (
	"time"

	"entgo.io/ent"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/field"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/mixin"
)

// OrderPlaced is sent by commits.
type OrderPlaced struct{ ent.Schema }

// Mixin of the OrderPlaced.
func (OrderPlaced) Mixin() []ent.Mixin {
	return []ent.Mixin{mixin.Signal{}, mixin.Retry{MaxAttempts: 5, MinBackoff: 5 * time.Second}}
}

// Fields of the OrderPlaced.
func (OrderPlaced) Fields() []ent.Field {
	return []ent.Field{field.Int("number"), field.String("customer")}
}

// InvoiceIssued is sent by the relay.
type InvoiceIssued struct{ ent.Schema }

// Mixin of the InvoiceIssued.
func (InvoiceIssued) Mixin() []ent.Mixin {
	return []ent.Mixin{mixin.Signal{}, mixin.Retry{MaxAttempts: 3, MinBackoff: 20 * time.Second}}
}

// Annotations of the InvoiceIssued.
func (InvoiceIssued) Annotations() []schema.Annotation {
	return []schema.Annotation{entsignal.AutoFlush(false)}
}

// Fields of the InvoiceIssued.
func (InvoiceIssued) Fields() []ent.Field {
	return []ent.Field{field.Int("number"), field.String("currency").Default("EUR")}
}

// StockMoved is sent by the relay, in its order.
type StockMoved struct{ ent.Schema }

// Mixin of the StockMoved.
func (StockMoved) Mixin() []ent.Mixin {
	return []ent.Mixin{mixin.Signal{}, mixin.Retry{MaxAttempts: 3, MinBackoff: 20 * time.Second}}
}

// Annotations of the StockMoved.
func (StockMoved) Annotations() []schema.Annotation {
	return []schema.Annotation{entsignal.AutoFlush(false), entsignal.OrderBy("id"), entsignal.BurstCount(100)}
}

// Fields of the StockMoved.
func (StockMoved) Fields() []ent.Field {
	return []ent.Field{field.String("article"), field.Int("pieces")}
}
