// Package table is the generic part of a signal: where its rows are, how they are
// found, and how they become entities. A [Model] contains what generated code knows
// about a signal. [New] turns it into a [Signal], which hides the Go types.
package table

import (
	"context"

	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/sql"
	"entgo.io/ent/schema/field"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/internal/retry"
	"github.com/entsignal/signalbus/internal/trace"
)

// A Model describes one signal type. C is the generated client's *config, T the
// entity, ID the type of its id and Q its query builder.
type Model[C, T, ID any, Q Query[T]] struct {
	Name       string
	Table      string
	IDColumn   string
	AutoFlush  bool
	BurstCount int                   // 0: the bus's default
	OrderBy    []entsignal.OrderTerm // as in the schema, in ent fields
	// OrderColumns is OrderBy in columns of the table.
	OrderColumns []entsignal.OrderTerm
	// OrderCompares means that MySQL compares these columns with a value that was
	// read from them as it sorts them.
	OrderCompares bool
	// OrderKey is the field of the key, and KeyColumn its column. Both are empty if
	// there is no key.
	OrderKey     string
	KeyColumn    string
	LockOrderKey bool

	// Sender is nil if the application has set none.
	Sender entsignal.Sender[T]
	// Counted means that the column of the id contains whole numbers.
	Counted bool
	// ID returns the id of a signal.
	ID func(T) ID
	// IDScanner, if set, points to the ValueScanner of the id's field.
	IDScanner *field.TypeValueScanner[ID]
	// Query returns a query for the signals that match, without the interceptors
	// that a project adds to its client.
	Query func(c C, drv dialect.Driver, match func(*sql.Selector)) Q
	// Children, if set, makes a query load the entities that the database deletes
	// together with the signal.
	Children func(Q)
	// With, if set, is the function by which the application loads edges.
	With func(Q)
	// Schema, if set, returns the database schema of the table.
	Schema func(C) string
	// Retry is the policy of mixin.Retry, or nil without it.
	Retry *retry.Policy
	// RetryState returns the columns of mixin.Retry of a row.
	RetryState func(T) retry.State
	// Trace returns the columns of mixin.Trace of a row. It is nil without the mixin.
	Trace func(T) trace.State
}

// Query is what the library needs of a generated query builder.
type Query[T any] interface {
	All(context.Context) ([]T, error)
}
