package entsignal

import (
	"errors"
	"fmt"
	"strings"

	"github.com/entsignal/signalbus/internal/mark"
)

// Errors of a [Bus] and of the generated clients. Each is matched with
// [errors.Is]; the error that a method returns says more.
var (
	// ErrUnbound is returned by every use of a bus that no client was opened
	// with, and by the flush methods of a client that has no bus.
	ErrUnbound = errors.New("entsignal: the bus is bound to no client: open one with WithSignalBus")

	// ErrBoundTwice is returned by every use of a bus through the second
	// client that was opened with it. A bus serves one client.
	ErrBoundTwice = errors.New("entsignal: the bus already serves another client")

	// ErrNoSender is returned by a flush that names a signal which has no
	// sender. NewSignalBus allows that only with [WithMissingSenders].
	ErrNoSender = errors.New("entsignal: no sender")

	// ErrBusy is returned by FlushOrdered when another FlushOrdered of the
	// same signal still ran when the time to wait for it was over.
	ErrBusy = errors.New("entsignal: another ordered flush is running")

	// ErrNotTried is the error of a signal that a sender has left out after an
	// earlier failure: it says nothing about the signal itself. [Each] and
	// rabbitmq.Sender use it in the [BatchError] that they return.
	ErrNotTried = errors.New("not tried after an earlier failure")

	// ErrClosed is returned by every flush after [Bus.Close], and by a flush
	// that Close cut short.
	ErrClosed = errors.New("entsignal: the bus is closed")

	// ErrQueueFull is given to the error handler when the signals of a commit
	// stay pending because the queue of [WithAsync] has no room for them.
	ErrQueueFull = errors.New("entsignal: the autoflush queue is full, signals stay pending")

	// ErrNotCollected is given to the error handler, once for each reason, when
	// signals are created in a way that the bus can't follow to the commit: outside
	// of a transaction through a driver that is no pool (see
	// [WithAutocommitDriver]), or through a client that was made of a config
	// literal. They stay pending until a flush.
	ErrNotCollected = errors.New("entsignal: new signals wait for a flush")

	// ErrNotFound is given to the error handler, once for each signal type, when
	// an autoflush finds none of the rows that its commit has recorded, and the
	// database shows why the bus can't see them: they are in another schema than
	// the one of its connections, or row-level security hides them. They stay
	// pending, and no flush of this bus sends them. Rows that another flush has
	// sent meanwhile are no such error.
	ErrNotFound = errors.New("none of the signals of a commit is where the bus looks")

	// ErrInTx is returned by the flush methods of a transactional client. A
	// flush needs transactions of its own.
	ErrInTx = errors.New("entsignal: cannot flush inside a transaction")

	// ErrNoTx is returned by the generated Lock methods of a client that is
	// not in a transaction: the lock would end with the statement. The creation
	// of a signal with [LockOrderKey] wraps it for the same reason.
	ErrNoTx = errors.New("entsignal: a row can be locked only inside a transaction")

	// ErrNoRetry is returned by a call that is about failed signals and names a
	// type without mixin.Retry.
	ErrNoRetry = errors.New("the schema has no mixin.Retry, so no account of failures is kept")

	// ErrSerialization marks an error after which the whole transaction may
	// be run again: Atomic does so when its function returns an error that
	// wraps it. See [RetryOnConstraint] and [IsSerializationFailure].
	ErrSerialization = errors.New("entsignal: serialization failure")
)

// UnknownSignalError is returned when an option names a signal that the bus
// doesn't have. Nothing was sent.
type UnknownSignalError struct {
	Name  string   // the name that was given
	Known []string // the names of all signals of the bus
}

func (e *UnknownSignalError) Error() string {
	return fmt.Sprintf("entsignal: unknown signal %q; known: %s", e.Name, strings.Join(e.Known, ", "))
}

// InvalidIDError is returned when a text is no id of a signal type. Nothing was
// changed.
type InvalidIDError struct {
	Signal string
	ID     string // as it was given
	Err    error  // what was expected
}

func (e *InvalidIDError) Error() string {
	return fmt.Sprintf("entsignal: signal %s: %q is no id: %v", e.Signal, e.ID, e.Err)
}

// Unwrap returns what was expected.
func (e *InvalidIDError) Unwrap() error { return e.Err }

// FlushError is the failure of one signal type. A flush of several types
// joins one for each type that failed; the other types were flushed.
type FlushError struct {
	Signal string
	Err    error
}

func (e *FlushError) Error() string { return fmt.Sprintf("entsignal: signal %s: %v", e.Signal, e.Err) }

// Unwrap returns the cause.
func (e *FlushError) Unwrap() error { return e.Err }

// BatchError is what a [Sender] returns when it sent only a part of its
// signals. Errors has one element for each signal, in their order, and nil
// for one that was sent. With any other length nothing counts as sent. It may
// be wrapped, but not joined with other errors.
type BatchError struct {
	Errors []error
}

// maxListed bounds how many failures an error text spells out.
const maxListed = 3

func (e *BatchError) Error() string {
	failed := e.Unwrap()
	texts := make([]string, 0, maxListed+1)
	for i, err := range failed {
		if i == maxListed {
			texts = append(texts, fmt.Sprintf("and %d more", len(failed)-maxListed))
			break
		}
		texts = append(texts, err.Error())
	}
	return fmt.Sprintf("%d of %d not sent: %s", len(failed), len(e.Errors), strings.Join(texts, "; "))
}

// Unwrap returns the errors of the signals that were not sent.
func (e *BatchError) Unwrap() []error {
	var failed []error
	for _, err := range e.Errors {
		if err != nil {
			failed = append(failed, err)
		}
	}
	return failed
}

// Permanent marks err as one that sending again can't help: the message
// itself is at fault. It returns nil for a nil err.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return &mark.Permanent{Err: err}
}

// IsPermanent reports whether err, or an error that it wraps, was marked by
// [Permanent].
func IsPermanent(err error) bool {
	return errors.As(err, new(*mark.Permanent))
}

// Unavailable marks err as one of the way and not of the message: the broker
// can't be reached. A flush stops the signal type at once instead of trying
// its other rows. It returns nil for a nil err.
func Unavailable(err error) error {
	if err == nil {
		return nil
	}
	return &mark.Unavailable{Err: err}
}

// IsUnavailable reports whether err, or an error that it wraps, was marked by
// [Unavailable].
func IsUnavailable(err error) bool {
	return errors.As(err, new(*mark.Unavailable))
}
