// Package schema has the entities of a bank.
package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/field"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/mixin"
)

// Account is the business data.
type Account struct{ ent.Schema }

// Fields of the Account.
func (Account) Fields() []ent.Field {
	return []ent.Field{field.Int("cents").NonNegative()}
}

// MoneyMoved is a signal: it tells other services of a transfer.
type MoneyMoved struct{ ent.Schema }

// Mixin makes the entity a signal.
func (MoneyMoved) Mixin() []ent.Mixin { return []ent.Mixin{mixin.Signal{}} }

// Fields of the MoneyMoved.
func (MoneyMoved) Fields() []ent.Field {
	return []ent.Field{field.Int("from"), field.Int("to"), field.Int("cents")}
}

// Annotations of the MoneyMoved.
func (MoneyMoved) Annotations() []schema.Annotation {
	return []schema.Annotation{entsignal.BurstCount(500)}
}
