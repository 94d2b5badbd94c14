package hooks

import (
	"database/sql/driver"

	"entgo.io/ent/schema/field"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/internal/engine"
	"github.com/entsignal/signalbus/internal/retry"
	"github.com/entsignal/signalbus/internal/table"
	"github.com/entsignal/signalbus/internal/trace"
)

type (
	// A Signal is one signal type of a bus; see [NewSignal].
	Signal = table.Signal
	// A Model describes one signal type for the library.
	Model[C, T, ID any, Q Query[T]] = table.Model[C, T, ID, Q]
	// A Query is what the library needs of a generated query builder.
	Query[T any] = table.Query[T]
	// A RetryPolicy holds the settings of mixin.Retry.
	RetryPolicy = retry.Policy
	// A RetryState holds the columns of mixin.Retry in one row.
	RetryState = retry.State
	// A TraceState holds the columns of mixin.Trace in one row.
	TraceState = trace.State
	// A BusClient is what a bus needs of the generated client.
	BusClient = engine.Client
)

// NewSignal returns the signal that m describes.
func NewSignal[C, T, ID any, Q Query[T]](m Model[C, T, ID, Q]) Signal { return table.New(m) }

// NewBus returns a bus of the given signals. It returns an error for an invalid
// option and for signals without a sender, which it names.
func NewBus(signals []Signal, opts ...entsignal.BusOption) (*entsignal.Bus, error) {
	return engine.NewBus(signals, opts...)
}

// Stored returns v as the field's ValueScanner stores it. The ValueScanner is set
// only while the program runs.
func Stored[V any](scanner *field.TypeValueScanner[V], v V) driver.Valuer {
	return table.Stored(scanner, v)
}
