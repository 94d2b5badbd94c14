// Package schema has the entities of a bank. Both banks have the same, each in a
// database of its own.
package schema

import (
	"entgo.io/ent"
	"entgo.io/ent/schema"
	"entgo.io/ent/schema/field"
	"entgo.io/ent/schema/index"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/mixin"
)

// Account is an account of the bank.
type Account struct{ ent.Schema }

// Fields of the Account.
func (Account) Fields() []ent.Field {
	return []ent.Field{field.Int("id"), field.Int("cents")}
}

// Entry is a line in the books: each change of an account has one.
type Entry struct{ ent.Schema }

// Fields of the Entry.
func (Entry) Fields() []ent.Field {
	return []ent.Field{
		field.Int("account"),
		field.Int("cents"),
		field.String("bank"),  // whose transfer it was
		field.Int("transfer"), // its id there
	}
}

// Transfer is an order to send money to an account of either bank.
type Transfer struct{ ent.Schema }

// Fields of the Transfer.
func (Transfer) Fields() []ent.Field {
	return []ent.Field{
		field.Int("from_account"),
		field.String("to_bank"),
		field.Int("to_account"),
		field.Int("cents"),
		field.Enum("state").Values("sent", "booked", "returned").Default("sent"),
	}
}

// Indexes of the Transfer.
func (Transfer) Indexes() []ent.Index { return []ent.Index{index.Fields("state")} }

// MoneySent is a signal: it takes the money to the bank of the payee.
type MoneySent struct{ ent.Schema }

// Mixin makes the entity a signal.
func (MoneySent) Mixin() []ent.Mixin { return []ent.Mixin{mixin.Signal{}} }

// Fields of the MoneySent.
func (MoneySent) Fields() []ent.Field {
	return []ent.Field{
		field.Int("transfer"),
		field.String("to_bank"),
		field.Int("to_account"),
		field.Int("cents"),
	}
}

// Annotations of the MoneySent: the publisher takes a batch at once.
func (MoneySent) Annotations() []schema.Annotation {
	return []schema.Annotation{entsignal.BurstCount(500)}
}

// MoneyAnswered is a signal: it tells the bank of the payer what became of the money.
type MoneyAnswered struct{ ent.Schema }

// Mixin makes the entity a signal.
func (MoneyAnswered) Mixin() []ent.Mixin { return []ent.Mixin{mixin.Signal{}} }

// Fields of the MoneyAnswered.
func (MoneyAnswered) Fields() []ent.Field {
	return []ent.Field{
		field.String("to_bank"),
		field.Int("transfer"), // its id there
		field.Bool("booked"),  // false: the money goes back
	}
}

// Annotations of the MoneyAnswered: the publisher takes a batch at once.
func (MoneyAnswered) Annotations() []schema.Annotation {
	return []schema.Annotation{entsignal.BurstCount(500)}
}

// Received is the inbox: the keys of the messages that the bank has handled.
type Received struct{ ent.Schema }

// Mixin makes the entity an inbox.
func (Received) Mixin() []ent.Mixin { return []ent.Mixin{mixin.Inbox{}} }
