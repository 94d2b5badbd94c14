package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"
	"github.com/google/uuid"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/integration/shop/kinds"
	"github.com/entsignal/signalbus/mixin"
)

type signal struct{ ent.Schema }

func (signal) Mixin() []ent.Mixin { return []ent.Mixin{mixin.Signal{}} }

// OrderPlaced is the plain signal: an int id and an autoflush.
type OrderPlaced struct{ signal }

// Fields of the OrderPlaced.
func (OrderPlaced) Fields() []ent.Field {
	return []ent.Field{field.Int("number"), field.String("customer").Default("")}
}

// UserJoined has ids that the client makes.
type UserJoined struct{ signal }

// Fields of the UserJoined.
func (UserJoined) Fields() []ent.Field {
	return []ent.Field{
		field.UUID("id", uuid.UUID{}).Default(uuid.New),
		field.Int("number"),
		field.String("email").Unique().Optional(),
	}
}

// TicketOpened has ids of text.
type TicketOpened struct{ signal }

// Fields of the TicketOpened.
func (TicketOpened) Fields() []ent.Field {
	return []ent.Field{field.String("id").MaxLen(64).NotEmpty(), field.Int("number")}
}

// BadgeGiven has ids of a type of the project.
type BadgeGiven struct{ signal }

// Fields of the BadgeGiven.
func (BadgeGiven) Fields() []ent.Field {
	return []ent.Field{
		field.String("id").GoType(kinds.BadgeID("")).MaxLen(64).DefaultFunc(kinds.NewBadgeID),
		field.Int("number"),
	}
}

// ShipmentDue is sent in order, and never by an autoflush. Its table and its
// columns have names of their own.
type ShipmentDue struct{ signal }

// Annotations of the ShipmentDue.
func (ShipmentDue) Annotations() []schema.Annotation {
	return []schema.Annotation{
		entsignal.AutoFlush(false),
		entsignal.BurstCount(3),
		entsignal.OrderBy("customer", entsignal.Desc("number")),
		entsql.Table("outgoing_shipments"),
	}
}

// Fields of the ShipmentDue.
func (ShipmentDue) Fields() []ent.Field {
	return []ent.Field{
		field.Int64("id").StorageKey("shipment_id"),
		field.String("customer").StorageKey("for_whom").MaxLen(64),
		field.Int("number").StorageKey("priority"),
	}
}

// Edges of the ShipmentDue.
func (ShipmentDue) Edges() []ent.Edge {
	return []ent.Edge{edge.From("order", Order.Type).Ref("shipments").Unique()}
}

// AuditLogged is written much and sent by a relay only.
type AuditLogged struct{ signal }

// Annotations of the AuditLogged.
func (AuditLogged) Annotations() []schema.Annotation {
	return []schema.Annotation{entsignal.AutoFlush(false)}
}

// Fields of the AuditLogged.
func (AuditLogged) Fields() []ent.Field {
	return []ent.Field{field.Int("number"), field.String("payload").Default("")}
}

// InvoiceIssued has children, which the sender sees and which go with it.
type InvoiceIssued struct{ signal }

// Fields of the InvoiceIssued.
func (InvoiceIssued) Fields() []ent.Field { return []ent.Field{field.Int("number")} }

// Edges of the InvoiceIssued.
func (InvoiceIssued) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("lines", InvoiceLine.Type).Annotations(entsql.OnDelete(entsql.Cascade)),
	}
}

// InvoiceLine is a child of a signal.
type InvoiceLine struct{ ent.Schema }

// Fields of the InvoiceLine.
func (InvoiceLine) Fields() []ent.Field { return []ent.Field{field.String("text")} }

// Edges of the InvoiceLine.
func (InvoiceLine) Edges() []ent.Edge {
	return []ent.Edge{edge.From("invoice", InvoiceIssued.Type).Ref("lines").Unique().Required()}
}
