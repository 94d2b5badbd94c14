// Package schema has a signal with an order, columns and an id of its own, and children, and one
// that a commit sends although it has an order.
package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"
	"github.com/google/uuid"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/mixin"
)

type Order struct{ ent.Schema }

func (Order) Edges() []ent.Edge { return []ent.Edge{edge.To("shipments", ShipmentDue.Type)} }

type ShipmentDue struct{ ent.Schema }

func (ShipmentDue) Mixin() []ent.Mixin { return []ent.Mixin{mixin.Signal{}} }

func (ShipmentDue) Annotations() []schema.Annotation {
	return []schema.Annotation{
		entsignal.AutoFlush(false),
		entsignal.BurstCount(500),
		entsignal.OrderBy("customer", entsignal.Desc("number")),
		entsql.Table("outgoing"),
	}
}

func (ShipmentDue) Fields() []ent.Field {
	return []ent.Field{
		field.UUID("id", uuid.UUID{}).Default(uuid.New).StorageKey("shipment_id"),
		field.String("customer").StorageKey("for_whom"),
		field.Int("number").StorageKey("priority"),
	}
}

func (ShipmentDue) Edges() []ent.Edge {
	return []ent.Edge{
		edge.From("order", Order.Type).Ref("shipments").Unique(),
		edge.To("parcels", Parcel.Type).Annotations(entsql.OnDelete(entsql.Cascade)),
		edge.To("label", Label.Type).Unique().Annotations(entsql.OnDelete(entsql.Cascade)),
		edge.To("notes", Note.Type),
		edge.To("stations", Station.Type),
	}
}

// Parcel goes with its shipment.
type Parcel struct{ ent.Schema }

func (Parcel) Edges() []ent.Edge {
	return []ent.Edge{edge.From("shipment", ShipmentDue.Type).Ref("parcels").Unique().Required()}
}

// Label belongs to one shipment.
type Label struct{ ent.Schema }

func (Label) Edges() []ent.Edge {
	return []ent.Edge{edge.From("shipment", ShipmentDue.Type).Ref("label").Unique().Required()}
}

// Note outlives its shipment.
type Note struct{ ent.Schema }

// Station is shared by shipments.
type Station struct{ ent.Schema }

type Measured struct{ ent.Schema }

func (Measured) Mixin() []ent.Mixin { return []ent.Mixin{mixin.Signal{}} }

func (Measured) Annotations() []schema.Annotation {
	return []schema.Annotation{entsignal.AutoFlush(true), entsignal.OrderBy("at")}
}

func (Measured) Fields() []ent.Field { return []ent.Field{field.Time("at")} }
