// Package schema has signals whose rows the tests make unreadable.
package schema

import (
	"time"

	"entgo.io/ent"
	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"
	"github.com/google/uuid"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/integration/undecodable/kinds"
	"github.com/entsignal/signalbus/mixin"
)

// ParcelPacked is a signal of whose failures an account is kept.
type ParcelPacked struct{ ent.Schema }

// Mixin of the ParcelPacked.
func (ParcelPacked) Mixin() []ent.Mixin {
	return []ent.Mixin{mixin.Signal{}, mixin.Retry{MaxAttempts: 3}}
}

// Annotations of the ParcelPacked.
func (ParcelPacked) Annotations() []schema.Annotation {
	return []schema.Annotation{entsignal.BurstCount(100)}
}

// Fields of the ParcelPacked.
func (ParcelPacked) Fields() []ent.Field {
	return []ent.Field{field.JSON("items", []string{}), field.Int("number")}
}

// NotePinned is a signal without such an account.
type NotePinned struct{ ent.Schema }

// Mixin of the NotePinned.
func (NotePinned) Mixin() []ent.Mixin { return []ent.Mixin{mixin.Signal{}} }

// Annotations of the NotePinned.
func (NotePinned) Annotations() []schema.Annotation {
	return []schema.Annotation{entsignal.BurstCount(100)}
}

// Fields of the NotePinned.
func (NotePinned) Fields() []ent.Field {
	return []ent.Field{field.JSON("items", []string{}), field.Int("number")}
}

// PalletMoved is sent in one order.
type PalletMoved struct{ ent.Schema }

// Mixin of the PalletMoved.
func (PalletMoved) Mixin() []ent.Mixin {
	return []ent.Mixin{mixin.Signal{}, mixin.Retry{MaxAttempts: 3}}
}

// Annotations of the PalletMoved.
func (PalletMoved) Annotations() []schema.Annotation {
	return []schema.Annotation{entsignal.AutoFlush(false), entsignal.BurstCount(100), entsignal.OrderBy(entsignal.Desc("number"))}
}

// Fields of the PalletMoved.
func (PalletMoved) Fields() []ent.Field {
	return []ent.Field{field.JSON("items", []string{}), field.Int("number")}
}

// CrateMoved is sent in an order for each dock, and no account is kept.
type CrateMoved struct{ ent.Schema }

// Mixin of the CrateMoved.
func (CrateMoved) Mixin() []ent.Mixin { return []ent.Mixin{mixin.Signal{}} }

// Annotations of the CrateMoved.
func (CrateMoved) Annotations() []schema.Annotation {
	return []schema.Annotation{entsignal.AutoFlush(false), entsignal.BurstCount(100), entsignal.OrderKey("dock")}
}

// Fields of the CrateMoved.
func (CrateMoved) Fields() []ent.Field {
	return []ent.Field{field.JSON("items", []string{}), field.Int("number"), field.String("dock").GoType(kinds.Seal{})}
}

// LabelPrinted is loaded with its lines, and with the printer.
type LabelPrinted struct{ ent.Schema }

// Mixin of the LabelPrinted.
func (LabelPrinted) Mixin() []ent.Mixin {
	return []ent.Mixin{mixin.Signal{}, mixin.Retry{MaxAttempts: 3}}
}

// Annotations of the LabelPrinted.
func (LabelPrinted) Annotations() []schema.Annotation {
	return []schema.Annotation{entsignal.BurstCount(100)}
}

// Fields of the LabelPrinted.
func (LabelPrinted) Fields() []ent.Field { return []ent.Field{field.Int("number")} }

// Edges of the LabelPrinted.
func (LabelPrinted) Edges() []ent.Edge {
	return []ent.Edge{
		edge.To("lines", Line.Type).Annotations(entsql.OnDelete(entsql.Cascade)),
		edge.From("printer", Printer.Type).Ref("labels").Unique(),
	}
}

// Line is a child of a label, deleted with it.
type Line struct{ ent.Schema }

// Fields of the Line.
func (Line) Fields() []ent.Field { return []ent.Field{field.JSON("words", []string{})} }

// Edges of the Line.
func (Line) Edges() []ent.Edge {
	return []ent.Edge{edge.From("label", LabelPrinted.Type).Ref("lines").Unique()}
}

// Printer prints labels.
type Printer struct{ ent.Schema }

// Fields of the Printer.
func (Printer) Fields() []ent.Field { return []ent.Field{field.JSON("trays", []string{})} }

// Edges of the Printer.
func (Printer) Edges() []ent.Edge { return []ent.Edge{edge.To("labels", LabelPrinted.Type)} }

// BoxSealed has a field of each kind that can fail to be read.
type BoxSealed struct{ ent.Schema }

// Mixin of the BoxSealed.
func (BoxSealed) Mixin() []ent.Mixin {
	return []ent.Mixin{mixin.Signal{}, mixin.Retry{MaxAttempts: 3}}
}

// Annotations of the BoxSealed.
func (BoxSealed) Annotations() []schema.Annotation {
	return []schema.Annotation{entsignal.BurstCount(100)}
}

// Fields of the BoxSealed.
func (BoxSealed) Fields() []ent.Field {
	text := map[string]string{dialect.Postgres: "text", dialect.MySQL: "varchar(50)", dialect.SQLite: "text"}
	return []ent.Field{
		field.Int("number"),
		field.String("seal").GoType(kinds.Seal{}),
		field.String("stamp").GoType(kinds.Stamp{}).ValueScanner(kinds.StampScanner),
		field.Int("weight").SchemaType(text),
		field.Time("sealed_at").Default(time.Now),
		field.UUID("token", uuid.UUID{}).SchemaType(text),
	}
}

// BinMarked has an id that need not be one.
type BinMarked struct{ ent.Schema }

// Mixin of the BinMarked.
func (BinMarked) Mixin() []ent.Mixin {
	return []ent.Mixin{mixin.Signal{}, mixin.Retry{MaxAttempts: 3}}
}

// Annotations of the BinMarked.
func (BinMarked) Annotations() []schema.Annotation {
	return []schema.Annotation{entsignal.BurstCount(100)}
}

// Fields of the BinMarked.
func (BinMarked) Fields() []ent.Field {
	text := map[string]string{dialect.Postgres: "varchar(50)", dialect.MySQL: "varchar(50)", dialect.SQLite: "text"}
	return []ent.Field{field.UUID("id", uuid.UUID{}).SchemaType(text), field.Int("number")}
}
