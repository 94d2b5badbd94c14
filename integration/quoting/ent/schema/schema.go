// Package schema has a signal whose names in the database are SQL. ent allows
// less for a table, of whose name it makes one of Go, than for a column; and no
// name may have the quotation mark of a database in it, which ent can't quote.
package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/dialect/entsql"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/field"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/mixin"
)

// OrderPlaced is the signal.
type OrderPlaced struct{ ent.Schema }

// Mixin of the OrderPlaced.
func (OrderPlaced) Mixin() []ent.Mixin { return []ent.Mixin{mixin.Signal{}} }

// Annotations of the OrderPlaced.
func (OrderPlaced) Annotations() []schema.Annotation {
	return []schema.Annotation{
		entsql.Table("delete from victims -- für"),
		entsignal.AutoFlush(true),
		entsignal.OrderBy(entsignal.Desc("number"), "customer"),
	}
}

// Fields of the OrderPlaced.
func (OrderPlaced) Fields() []ent.Field {
	return []ent.Field{
		field.Int("id").StorageKey("id = 1 OR 1 = 1; --"),
		field.Int("number").StorageKey("number DESC; DELETE FROM victims; --"),
		field.String("customer").MaxLen(50).StorageKey("für $1 ? %s ':name'"),
	}
}
