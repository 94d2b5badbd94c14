package entsignal

import (
	"entgo.io/ent/schema"

	"github.com/entsignal/signalbus/internal/annotation"
)

// AutoFlush sets whether a commit sends the signals that it recorded. The default
// is true. With false they stay pending until a flush.
func AutoFlush(on bool) schema.Annotation { return annotation.Signal{AutoFlush: &on} }

// BurstCount sets how many rows Flush, FlushMany and FlushOrdered claim, send and
// delete in one transaction, at most. If neither the schema nor the bus nor the
// call sets it, Flush and FlushMany start with 1 and double it, up to 1,000, as
// long as each batch is sent as a whole within 100 ms. After a failure they start
// with 1 again. FlushOrdered then takes 1. An autoflush ignores it.
func BurstCount(n int) schema.Annotation { return annotation.Signal{BurstCount: &n} }

// OrderBy sets the order in which FlushOrdered sends. The terms name ent fields,
// either plain or with [Asc] or [Desc]. The id is always the last term. OrderBy
// requires an explicit [AutoFlush] annotation, because an autoflush ignores the
// order. The table gets an index of the order; see [OrderIndex].
func OrderBy(terms ...OrderTerm) schema.Annotation {
	// An empty order must reach the generator, which rejects it. A nil slice would
	// become null in JSON, which means "not set".
	order := make([]string, len(terms))
	for i, term := range terms {
		order[i] = string(term)
	}
	return annotation.Signal{OrderBy: &order}
}

// OrderKey limits the order to signals with the same value of a field, such as the
// account that they are about. FlushOrdered then sends the signals of each key in
// the order of OrderBy and the id. It sends several keys at the same time (see
// [Workers]). If the first signal of a key can't be sent, that key waits and the
// others continue.
//
// The field must be a required integer, string, enum, bool or UUID. The table gets
// an index that begins with it; see [OrderIndex]. OrderKey requires an explicit
// [AutoFlush] annotation, as OrderBy does.
func OrderKey(field string) schema.Annotation { return annotation.Signal{OrderKey: &field} }

// OrderIndex sets whether the code generator adds an index of [OrderKey], [OrderBy]
// and the id to the table. Without such an index each batch of FlushOrdered sorts
// the whole table.
//
// By default the index is added unless the schema has one that serves, or a column
// can't be indexed in every database: the columns may have 3,072 bytes in all, and a
// character counts as 4. An ent string without MaxLen has 255 characters on MySQL,
// and counts as such. PostgreSQL sets no limit to it, but refuses a row whose index
// entry is larger than about 2,700 bytes after compression. With false no index is
// added; with true it is an error if the columns can't be indexed.
func OrderIndex(on bool) schema.Annotation { return annotation.Signal{OrderIndex: &on} }

// LockOrderKey makes transactions that create signals with the same [OrderKey]
// value run one after the other, so that they commit in the order of their ids.
// Before a signal is inserted, its transaction locks the key. Any other transaction
// that creates a signal with that key then waits until the first one ends. A bulk
// creation locks all its keys at once, in order. A transaction that creates signals
// with several keys one by one should create them in the order of the keys.
// Otherwise two such transactions can deadlock, and Atomic then runs one of them
// again.
//
// Such a signal can be created only in a transaction; otherwise the error wraps
// [ErrNoTx]. The lock exists on PostgreSQL. SQLite needs none, because it has only
// one writer. MySQL and MariaDB have no such lock, so the creation returns an error
// there. Rows that are inserted without the generated client, such as by SQL, take
// no lock.
func LockOrderKey() schema.Annotation { return annotation.Signal{LockOrderKey: true} }

// OrderTerm is one term of an order: the name of an ent field. A "-" in front means
// descending.
type OrderTerm string

// Asc orders by the field, lowest value first. A plain field name means the same.
func Asc(field string) OrderTerm { return OrderTerm(field) }

// Desc orders by the field, highest value first.
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
