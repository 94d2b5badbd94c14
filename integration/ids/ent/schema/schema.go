// Package schema has signals whose ids the database knows otherwise than Go.
package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/dialect"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/field"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/integration/ids/kinds"
	"github.com/entsignal/signalbus/mixin"
)

type signal struct{ ent.Schema }

func (signal) Mixin() []ent.Mixin { return []ent.Mixin{mixin.Signal{}, mixin.Retry{MaxAttempts: 1}} }

func (signal) Annotations() []schema.Annotation {
	return []schema.Annotation{entsignal.BurstCount(3)}
}

// Counted has ids that the database counts, and a ValueScanner.
type Counted struct{ signal }

// Fields of the Counted.
func (Counted) Fields() []ent.Field {
	return []ent.Field{field.Int("id").GoType(kinds.Number{}).ValueScanner(kinds.NumberScanner), field.Int("number")}
}

// Referred has ids with a ValueScanner.
type Referred struct{ signal }

// Fields of the Referred.
func (Referred) Fields() []ent.Field {
	return []ent.Field{
		field.String("id").GoType(kinds.Ref{}).ValueScanner(kinds.RefScanner).DefaultFunc(kinds.NewRef).StorageKey("the_ref"),
		field.Int("number"),
	}
}

// Coded has ids with a TextValueScanner, which are pointers.
type Coded struct{ signal }

// Fields of the Coded.
func (Coded) Fields() []ent.Field {
	return []ent.Field{
		field.String("id").GoType(&kinds.Code{}).ValueScanner(field.TextValueScanner[*kinds.Code]{}).DefaultFunc(kinds.NewCode),
		field.Int("number"),
	}
}

// Packed has ids with a BinaryValueScanner.
type Packed struct{ signal }

// Fields of the Packed.
func (Packed) Fields() []ent.Field {
	return []ent.Field{
		field.Bytes("id").GoType(&kinds.Packed{}).ValueScanner(field.BinaryValueScanner[*kinds.Packed]{}).DefaultFunc(kinds.NewPacked).
			SchemaType(map[string]string{dialect.MySQL: "varbinary(64)"}),
		field.Int("number"),
	}
}

// Linked has ids that are structs.
type Linked struct{ signal }

// Fields of the Linked.
func (Linked) Fields() []ent.Field {
	return []ent.Field{field.UUID("id", kinds.UUID{}).Default(kinds.NewUUID), field.Int("number")}
}

// Serialized has ids that are texts in Go and numbers in the database.
type Serialized struct{ signal }

// Fields of the Serialized.
func (Serialized) Fields() []ent.Field {
	return []ent.Field{
		field.Other("id", kinds.Serial("")).
			SchemaType(map[string]string{dialect.MySQL: "bigint", dialect.Postgres: "bigint", dialect.SQLite: "integer"}).
			Default(kinds.NewSerial),
		field.Int("number"),
	}
}

// Hashed has ids that are arrays of bytes.
type Hashed struct{ signal }

// Fields of the Hashed.
func (Hashed) Fields() []ent.Field {
	return []ent.Field{
		field.Bytes("id").GoType(kinds.Hash{}).DefaultFunc(kinds.NewHash).
			SchemaType(map[string]string{dialect.MySQL: "binary(16)"}),
		field.Int("number"),
	}
}

// Unsigned has ids without a sign.
type Unsigned struct{ signal }

// Fields of the Unsigned.
func (Unsigned) Fields() []ent.Field {
	return []ent.Field{field.Uint64("id"), field.Int("number")}
}

// Raw has ids that are bytes.
type Raw struct{ signal }

// Fields of the Raw.
func (Raw) Fields() []ent.Field {
	return []ent.Field{
		field.Bytes("id").DefaultFunc(kinds.NewBytes).SchemaType(map[string]string{dialect.MySQL: "varbinary(64)"}),
		field.Int("number"),
	}
}

// ordered is a signal whose order is told by a field of a type of its own.
type ordered struct{ ent.Schema }

func (ordered) Mixin() []ent.Mixin { return []ent.Mixin{mixin.Signal{}} }

// KeyedByRef is ordered by a key with a ValueScanner, which its writers lock.
type KeyedByRef struct{ ordered }

// Annotations of the KeyedByRef.
func (KeyedByRef) Annotations() []schema.Annotation {
	return []schema.Annotation{entsignal.AutoFlush(false), entsignal.BurstCount(2), entsignal.OrderKey("ref")}
}

// Fields of the KeyedByRef.
func (KeyedByRef) Fields() []ent.Field {
	return []ent.Field{
		field.Int("id").GoType(kinds.Number{}).ValueScanner(kinds.NumberScanner),
		field.String("ref").GoType(kinds.Ref{}).ValueScanner(kinds.RefScanner),
		field.Int("number"),
	}
}

// LockedByRef is as KeyedByRef, and its writers wait for each other.
type LockedByRef struct{ KeyedByRef }

// Annotations of the LockedByRef.
func (LockedByRef) Annotations() []schema.Annotation {
	return append(KeyedByRef{}.Annotations(), entsignal.LockOrderKey())
}

// KeyedByCode is ordered by a key that is a pointer with a TextValueScanner.
type KeyedByCode struct{ ordered }

// Annotations of the KeyedByCode.
func (KeyedByCode) Annotations() []schema.Annotation {
	return []schema.Annotation{entsignal.AutoFlush(false), entsignal.BurstCount(2), entsignal.OrderKey("code")}
}

// Fields of the KeyedByCode.
func (KeyedByCode) Fields() []ent.Field {
	return []ent.Field{
		field.String("code").GoType(&kinds.Code{}).ValueScanner(field.TextValueScanner[*kinds.Code]{}),
		field.Int("number"),
	}
}

// KeyedByUUID is ordered by a key that is a struct.
type KeyedByUUID struct{ ordered }

// Annotations of the KeyedByUUID.
func (KeyedByUUID) Annotations() []schema.Annotation {
	return []schema.Annotation{entsignal.AutoFlush(false), entsignal.BurstCount(2), entsignal.OrderKey("uuid")}
}

// Fields of the KeyedByUUID.
func (KeyedByUUID) Fields() []ent.Field {
	return []ent.Field{field.UUID("uuid", kinds.UUID{}), field.Int("number")}
}

// OrderedByRef is ordered by a field with a ValueScanner.
type OrderedByRef struct{ ordered }

// Annotations of the OrderedByRef.
func (OrderedByRef) Annotations() []schema.Annotation {
	return []schema.Annotation{entsignal.AutoFlush(false), entsignal.BurstCount(2), entsignal.OrderBy(entsignal.Desc("ref"))}
}

// Fields of the OrderedByRef.
func (OrderedByRef) Fields() []ent.Field {
	return []ent.Field{
		field.UUID("id", kinds.UUID{}).Default(kinds.NewUUID),
		field.String("ref").GoType(kinds.Ref{}).ValueScanner(kinds.RefScanner),
		field.Int("number"),
	}
}
