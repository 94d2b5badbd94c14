// Package telemetry has what all exporters of metrics have in common: the types of
// errors, and the buckets of histograms.
package telemetry

import (
	"context"
	"errors"
	"os"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/internal/foreign"
)

// An ErrorType is the value of the label or attribute that tells why signals failed.
type ErrorType string

// The types of errors. There are no others, because each is a time series.
const (
	Unavailable ErrorType = "unavailable" // the broker or the database can't be reached
	Timeout     ErrorType = "timeout"     // it took too long
	Canceled    ErrorType = "canceled"    // the caller ended the flush, or the bus was closed
	Permanent   ErrorType = "permanent"   // the message itself is at fault
	Panic       ErrorType = "panic"       // the sender panicked
	NotTried    ErrorType = "not_tried"   // another signal of the batch failed before
	Refused     ErrorType = "refused"     // anything else
)

// ErrorTypes returns all types.
func ErrorTypes() []ErrorType {
	return []ErrorType{Unavailable, Timeout, Canceled, Permanent, Panic, NotTried, Refused}
}

// TypeOf returns the type of an error.
func TypeOf(err error) ErrorType {
	switch {
	case entsignal.IsUnavailable(err):
		return Unavailable
	case errors.As(err, new(*foreign.PanicError)):
		return Panic
	case entsignal.IsPermanent(err):
		return Permanent
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return Timeout
	case errors.Is(err, context.Canceled), errors.Is(err, entsignal.ErrClosed):
		return Canceled
	case errors.Is(err, entsignal.ErrNotTried):
		return NotTried
	default:
		return Refused
	}
}

// EachFailure calls count with how many signals failed for a type of error, for each
// type that occurs. A batch that could not be claimed counts as one signal, because
// its size is unknown.
func EachFailure(e entsignal.Failed, count func(t ErrorType, n int)) {
	var batch *entsignal.BatchError
	if errors.As(e.Err, &batch) {
		if failed := batch.Unwrap(); len(failed) == e.Count {
			for _, err := range failed {
				count(TypeOf(err), 1)
			}
			return
		}
	}
	count(TypeOf(e.Err), max(e.Count, 1))
}
