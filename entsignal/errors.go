package entsignal

import (
	"errors"
	"fmt"
	"strings"

	"github.com/entsignal/signalbus/internal/mark"
)

// Errors of a [Bus] and of the generated clients. Compare them with [errors.Is]. The
// error that a method returns wraps one of them and has more details.
var (
	// ErrUnbound is returned by every method of a bus with which no client was
	// opened, and by the flush methods of a client without a bus.
	ErrUnbound = errors.New("entsignal: the bus is not bound to a client: open one with WithSignalBus")

	// ErrBoundTwice is returned whenever a bus is used through a second client that
	// was opened with it. Use one bus per client.
	ErrBoundTwice = errors.New("entsignal: the bus already serves another client")

	// ErrNoSender is returned by a flush that names a signal without a sender. Only
	// a bus with [WithMissingSenders] can have such a signal.
	ErrNoSender = errors.New("entsignal: no sender")

	// ErrBusy is returned by FlushOrdered if another FlushOrdered of the same
	// signal was still running at the end of the time of [Wait].
	ErrBusy = errors.New("entsignal: another ordered flush is running")

	// ErrNotTried is the error of a signal that a sender did not try after an
	// earlier failure. The signal itself may be fine. [Each] and rabbitmq.Sender
	// put it into the [BatchError] that they return.
	ErrNotTried = errors.New("not tried after an earlier failure")

	// ErrClosed is returned by every flush after [Bus.Close], and by a flush that
	// Close ended early.
	ErrClosed = errors.New("entsignal: the bus is closed")

	// ErrQueueFull is passed to the error handler if the queue of [WithAsync] has
	// no room for the signals of a commit. They stay pending.
	ErrQueueFull = errors.New("entsignal: the autoflush queue is full, signals stay pending")

	// ErrNotCollected is passed to the error handler, once per reason, if signals
	// are created in a way that the bus can't follow until the commit: outside a
	// transaction with a driver that is not a connection pool (see
	// [WithAutocommitDriver]), or with a client that was made from a config
	// literal. They stay pending until a flush.
	ErrNotCollected = errors.New("entsignal: new signals stay pending until a flush")

	// ErrNotFound is passed to the error handler, once per signal type, if an
	// autoflush finds none of the rows that its commit recorded and the database
	// shows why the bus can't see them: they are in another schema than that of the
	// bus's connections, or row-level security hides them. They stay pending, and
	// no flush of this bus sends them. Rows that another flush sent in the meantime
	// don't cause this error.
	ErrNotFound = errors.New("the bus can't see the signals of a commit")

	// ErrInTx is returned by the flush methods of a transactional client, and
	// wrapped by the Purge of its inboxes. Both need their own transactions.
	ErrInTx = errors.New("entsignal: cannot flush inside a transaction")

	// ErrNoTx is returned by the generated Lock methods outside a transaction,
	// because the lock would end with the statement. Creating a signal with
	// [LockOrderKey] returns an error that wraps it, for the same reason.
	ErrNoTx = errors.New("entsignal: a row can be locked only inside a transaction")

	// ErrNoRetry is returned by methods for failed signals if they name a type
	// without mixin.Retry.
	ErrNoRetry = errors.New("the schema has no mixin.Retry, so its failures are not recorded")

	// ErrSerialization marks an error after which the whole transaction may be run
	// again. Atomic does so if its function returns an error that wraps it. See
	// [RetryOnConstraint] and [IsSerializationFailure].
	ErrSerialization = errors.New("entsignal: serialization failure")
)

// UnknownSignalError is returned if an option names a signal that the bus doesn't
// have. Nothing was sent.
type UnknownSignalError struct {
	Name  string   // the unknown name
	Known []string // the names of all signals of the bus
}

func (e *UnknownSignalError) Error() string {
	return fmt.Sprintf("entsignal: unknown signal %q; known: %s", e.Name, strings.Join(e.Known, ", "))
}

// InvalidIDError is returned for a text that is not a valid id of a signal type.
// Nothing was changed.
type InvalidIDError struct {
	Signal string
	ID     string // the invalid text
	Err    error  // what was expected
}

func (e *InvalidIDError) Error() string {
	return fmt.Sprintf("entsignal: signal %s: %q is not a valid id: %v", e.Signal, e.ID, e.Err)
}

// Unwrap returns what was expected.
func (e *InvalidIDError) Unwrap() error { return e.Err }

// FlushError is the failure of one signal type. A flush joins one for each type
// that failed. The other types were flushed.
type FlushError struct {
	Signal string
	Err    error
}

func (e *FlushError) Error() string { return fmt.Sprintf("entsignal: signal %s: %v", e.Signal, e.Err) }

// Unwrap returns the cause.
func (e *FlushError) Unwrap() error { return e.Err }

// BatchError is returned by a [Sender] that sent only some of its signals. Errors
// has one element per signal, in the same order, and nil means that the signal was
// sent. If the length is different, no signal counts as sent. The error may be
// wrapped, but not joined with other errors.
type BatchError struct {
	Errors []error
}

// maxListed is how many failures an error text lists.
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

// Permanent marks err as an error of the message itself, which can't succeed by
// sending it again. With mixin.Retry the signal becomes dead at once. It returns
// nil for a nil err.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return &mark.Permanent{Err: err}
}

// IsPermanent reports whether err or an error that it wraps was marked by
// [Permanent].
func IsPermanent(err error) bool {
	return errors.As(err, new(*mark.Permanent))
}

// Unavailable marks err as an outage: the broker can't be reached, and the message
// is not at fault. A flush then stops the signal type at once instead of trying its
// other rows, and no attempt is counted. It returns nil for a nil err.
func Unavailable(err error) error {
	if err == nil {
		return nil
	}
	return &mark.Unavailable{Err: err}
}

// IsUnavailable reports whether err or an error that it wraps was marked by
// [Unavailable].
func IsUnavailable(err error) bool {
	return errors.As(err, new(*mark.Unavailable))
}
