// Package schema has a bank, in which money moves under contention.
package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema/edge"
	"entgo.io/ent/schema/field"

	"github.com/entsignal/signalbus/mixin"
)

// Account is business data.
type Account struct{ ent.Schema }

// Fields of the Account.
func (Account) Fields() []ent.Field {
	return []ent.Field{
		field.String("owner").Unique(),
		field.Int("balance").Default(0),
	}
}

// Edges of the Account.
func (Account) Edges() []ent.Edge { return []ent.Edge{edge.To("entries", Entry.Type)} }

// Entry is a line of an account.
type Entry struct{ ent.Schema }

// Fields of the Entry.
func (Entry) Fields() []ent.Field { return []ent.Field{field.Int("amount")} }

// Edges of the Entry.
func (Entry) Edges() []ent.Edge {
	return []ent.Edge{edge.From("account", Account.Type).Ref("entries").Unique()}
}

// MoneyMoved is a signal.
type MoneyMoved struct{ ent.Schema }

// Mixin makes it a signal.
func (MoneyMoved) Mixin() []ent.Mixin { return []ent.Mixin{mixin.Signal{}} }

// Fields of the MoneyMoved.
func (MoneyMoved) Fields() []ent.Field {
	return []ent.Field{field.Int("number")}
}
