package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/mixin"
)

// InvoiceIssued is wrong in three ways.
type InvoiceIssued struct{ ent.Schema }

func (InvoiceIssued) Mixin() []ent.Mixin { return []ent.Mixin{mixin.Signal{}} }

func (InvoiceIssued) Annotations() []schema.Annotation {
	return []schema.Annotation{
		entsignal.BurstCount(0),
		entsignal.AutoFlush(true),
		entsignal.OrderBy("note", "when", entsignal.Desc("when")),
	}
}

func (InvoiceIssued) Fields() []ent.Field {
	return []ent.Field{field.String("note").Optional(), field.Time("when"), field.Int("entsignalGroup")}
}

func (InvoiceIssued) Edges() []ent.Edge {
	return []ent.Edge{edge.To("lines", InvoiceLine.Type)}
}

type InvoiceLine struct{ ent.Schema }

func (InvoiceLine) Edges() []ent.Edge {
	return []ent.Edge{edge.From("invoice", InvoiceIssued.Type).Ref("lines").Unique().Required()}
}

// NewSignalBus has a name that is taken.
type NewSignalBus struct{ ent.Schema }

// OrderPlaced lacks the mixin.
type OrderPlaced struct{ ent.Schema }

func (OrderPlaced) Annotations() []schema.Annotation {
	return []schema.Annotation{entsignal.BurstCount(5)}
}
