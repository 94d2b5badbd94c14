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
