package entsignal

import (
	"entgo.io/ent/schema"

	"github.com/entsignal/signalbus/internal/annotation"
)

// AutoFlush says whether a commit sends the signals that it recorded. The
// default is true.
func AutoFlush(on bool) schema.Annotation { return annotation.Signal{AutoFlush: &on} }

// BurstCount sets how many rows one transaction of Flush, FlushMany and
// FlushOrdered claims, sends and deletes. The default is 1: correct for every
// sender, and slow for a backlog. Senders that take a batch at once do well
// with 500. It doesn't bound an autoflush.
func BurstCount(n int) schema.Annotation { return annotation.Signal{BurstCount: &n} }

// OrderBy sets the order in which FlushOrdered sends. The terms name ent
// fields, plain or made by [Asc] and [Desc]; the id is always the last term.
// It needs an explicit [AutoFlush], because an autoflush keeps no order.
func OrderBy(terms ...OrderTerm) schema.Annotation {
	// An order without a term must reach the generator, which refuses it, and
	// nil would be null in JSON.
	order := make([]string, len(terms))
	for i, term := range terms {
		order[i] = string(term)
	}
	return annotation.Signal{OrderBy: &order}
}

// OrderKey says that the order matters only among the signals that have the
// same value of a field, such as the account that they are about. FlushOrdered
// then sends each key's signals in the order of OrderBy and the id, several
// keys side by side (see [Workers]), and a key whose first signal can't be
// sent waits without keeping the others. The field is a required integer,
// string, enum, bool or UUID, and should have an index. It needs an explicit
// [AutoFlush], as OrderBy does.
func OrderKey(field string) schema.Annotation { return annotation.Signal{OrderKey: &field} }

// LockOrderKey makes the transactions that create signals of one key of
// [OrderKey] come one after the other, so that their ids are in the order in
// which they are committed. Before a signal is inserted, its transaction locks
// the key, and another that creates a signal of that key waits until it ends.
// A bulk locks all its keys at once and in order. A transaction that creates
// signals of several keys one by one should do so in the order of the keys, or
// else two of them may be in a deadlock, after which Atomic runs one again.
//
// Such a signal can be created only in a transaction; without one the error
// wraps [ErrNoTx]. PostgreSQL locks; SQLite has one writer anyway; on MySQL and
// MariaDB, which have no such lock, the creation is an error. Rows that are
// inserted past the generated client aren't locked.
func LockOrderKey() schema.Annotation { return annotation.Signal{LockOrderKey: true} }

// OrderTerm is one term of an order: the name of an ent field, with "-" in
// front for a descending one.
type OrderTerm string

// Asc orders by the field, lowest first, as the plain name does.
func Asc(field string) OrderTerm { return OrderTerm(field) }

// Desc orders by the field, highest first.
func Desc(field string) OrderTerm { return OrderTerm(annotation.Descending(field)) }

// Field returns the name of the term's field.
func (t OrderTerm) Field() string {
	name, _ := annotation.ParseTerm(string(t))
	return name
}

// Descending reports whether the highest value comes first.
func (t OrderTerm) Descending() bool {
	_, desc := annotation.ParseTerm(string(t))
	return desc
}
