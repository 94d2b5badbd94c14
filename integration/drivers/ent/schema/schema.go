// Package schema has the entities of a program that is run through many
// drivers.
package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/field"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/mixin"
)

// Account is business data.
type Account struct{ ent.Schema }

// Fields of the Account.
func (Account) Fields() []ent.Field { return []ent.Field{field.Int("balance").Default(0)} }

// MoneyMoved is a plain signal.
type MoneyMoved struct{ ent.Schema }

// Mixin of the MoneyMoved.
func (MoneyMoved) Mixin() []ent.Mixin { return []ent.Mixin{mixin.Signal{}} }

// Fields of the MoneyMoved.
func (MoneyMoved) Fields() []ent.Field { return []ent.Field{field.Int("number")} }

// PriceSet locks its key.
type PriceSet struct{ ent.Schema }

// Mixin of the PriceSet.
func (PriceSet) Mixin() []ent.Mixin { return []ent.Mixin{mixin.Signal{}} }

// Annotations of the PriceSet.
func (PriceSet) Annotations() []schema.Annotation {
	return []schema.Annotation{entsignal.AutoFlush(true), entsignal.OrderKey("article"), entsignal.LockOrderKey()}
}

// Fields of the PriceSet.
func (PriceSet) Fields() []ent.Field {
	return []ent.Field{field.Int("article"), field.Int("number")}
}
