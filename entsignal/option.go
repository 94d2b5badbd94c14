package entsignal

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/entsignal/signalbus/internal/foreign"
)

const (
	// defaultFlushTimeout is the default of [WithFlushTimeout].
	defaultFlushTimeout = 10 * time.Second
	// defaultWait is the default of [Wait] for Flush: time enough for the
	// autoflushes that are running to finish.
	defaultWait = 3 * time.Second
	// defaultHoldBack is the default of [HoldBack]: most transactions have
	// ended by then, and those that haven't deserve to be named.
	defaultHoldBack = 30 * time.Second
	// autoFlushBatch bounds the rows that an autoflush claims at once.
	autoFlushBatch = 500
	// MaxBurstCount is the highest burst count. It keeps one statement below
	// the parameters that SQLite allows, 32,766.
	MaxBurstCount = 30000
)

// A BusOption sets up a [Bus]. It is given to the generated NewSignalBus.
type BusOption func(*Bus) error

// WithLogger makes the bus log to l. The default is silence. If the handler of l
// panics, the error handler is told.
func WithLogger(l *slog.Logger) BusOption {
	return func(b *Bus) error {
		if l == nil {
			return errors.New("WithLogger: the logger is nil")
		}
		b.log = foreign.Logger(l, b.logHandlerPanicked)
		return nil
	}
}

// WithErrorHandler makes the bus call handle with every error that no caller
// gets: those of autoflushes. The signals that it is about stay pending.
// handle runs before the commit returns and gets a context that is not
// cancelled. By default such errors are logged only. If handle panics, that is
// logged.
func WithErrorHandler(handle func(ctx context.Context, err error)) BusOption {
	return func(b *Bus) error {
		if handle == nil {
			return errors.New("WithErrorHandler: the handler is nil")
		}
		b.handle = handle
		return nil
	}
}

// WithFlushTimeout bounds how long an autoflush may hold up a commit, and how
// long one batch or one query of any flush, of Pending and the like, may take, on
// a dead network too. The default is 10 seconds. Senders get four fifths of it;
// the rest is for the end of the transaction. What isn't sent in time stays
// pending.
func WithFlushTimeout(d time.Duration) BusOption {
	return func(b *Bus) error {
		if d <= 0 {
			return fmt.Errorf("WithFlushTimeout: %v; expected more than 0", d)
		}
		b.timeout = d
		return nil
	}
}

// WithBurstCount sets the burst count of the signals whose schema sets none.
// The default is 1.
func WithBurstCount(n int) BusOption {
	return func(b *Bus) error {
		if err := checkBurst(n); err != nil {
			return fmt.Errorf("WithBurstCount: %w", err)
		}
		b.burst = n
		return nil
	}
}

// WithBatchBytes makes the flushes take fewer rows at a time than the burst count
// says, if those of the last batch were so large that as many would take more than
// n bytes of memory. The first batch of a signal type goes by the burst count alone.
// One row goes however large it is. The default is 64 MiB. It is an estimate and no limit:
// see docs/flushes.md for how many batches there are at a time.
func WithBatchBytes(n int) BusOption {
	return func(b *Bus) error {
		if n <= 0 {
			return fmt.Errorf("WithBatchBytes: %d; expected more than 0", n)
		}
		b.batchBytes = int64(n)
		return nil
	}
}

// WithAsync makes commits not wait for their autoflush: it runs behind them,
// with up to queue signals that wait or are on their way. By default a commit
// waits until its signals are sent. What a commit records while the queue is
// full stays pending for a flush; the error handler gets [ErrQueueFull] when
// the queue fills up, and again only after half of it was empty. [Bus.Close]
// waits until the queue is empty.
//
// A commit that returns then proves nothing about its messages: a process that
// dies leaves those of the queue pending.
func WithAsync(queue int) BusOption {
	return func(b *Bus) error {
		if queue < 1 {
			return fmt.Errorf("WithAsync: a queue of %d signals; expected 1 or more", queue)
		}
		b.queue = newQueue(queue)
		return nil
	}
}

// WithAutocommitDriver vouches for the driver that the client is opened with:
// what it executes outside of ent's Tx is committed when it returns. Signals that
// are created so are then sent at once. By default the bus believes that of ent's
// own driver over a *sql.DB only. What is created through a driver of another
// type, such as one that splits reads and writes or that adds comments to
// statements, stays pending for a flush, and the error handler gets
// [ErrNotCollected] once. In ent's transactions signals are collected whatever
// the driver is.
//
// It has no effect on ent's driver over a *sql.Tx.
func WithAutocommitDriver() BusOption {
	return func(b *Bus) error {
		b.vouched = true
		return nil
	}
}

// WithMissingSenders allows signals without a sender. A flush that names one
// fails with [ErrNoSender]; a flush of all signals leaves it out and logs so
// once. The signals stay pending.
func WithMissingSenders() BusOption {
	return func(b *Bus) error {
		b.missingAllowed = true
		return nil
	}
}

// A FlushOption tunes one call of a flush or of Pending. An option that the
// method doesn't use is an error.
type FlushOption struct {
	name  string
	apply func(*flushOptions) error
}

type flushOptions struct {
	only    []string // nil: all
	exclude []string
	wait    *time.Duration
	workers int
	burst   int // 0: the signal's

	holdBack *time.Duration
	skipDead bool
}

// Only restricts a flush to the named signals. Used by Flush, FlushMany,
// FlushOrdered and Pending of a [Bus].
func Only(names ...string) FlushOption {
	return FlushOption{"Only", func(o *flushOptions) error {
		o.only = append(append([]string{}, o.only...), names...)
		return nil
	}}
}

// Exclude leaves the named signals out. Used by Flush, FlushMany,
// FlushOrdered and Pending of a [Bus].
func Exclude(names ...string) FlushOption {
	return FlushOption{"Exclude", func(o *flushOptions) error {
		o.exclude = append(o.exclude, names...)
		return nil
	}}
}

// Wait sets how long Flush waits between listing the pending signals and
// sending them, by default 3 seconds, and how long FlushOrdered waits for
// another FlushOrdered of the same signal, by default until its context ends.
func Wait(d time.Duration) FlushOption {
	return FlushOption{"Wait", func(o *flushOptions) error {
		if d < 0 {
			return fmt.Errorf("%v; expected 0 or more", d)
		}
		o.wait = &d
		return nil
	}}
}

// HoldBack sets how long a FlushOrdered waits, for each signal in all, for
// transactions that are open and may commit lower ids than those of signals
// that are pending. While it waits it sends what is safe. When the time is
// over the signal fails with a [*HeldBackError] that names the transactions.
// It also waits so long for one that has locked the table or its sequence.
// The default is 30 seconds. 0 sends what is safe at once. It has an effect
// on PostgreSQL, for signals that are sent by id; see [Bus.CheckOrder].
func HoldBack(d time.Duration) FlushOption {
	return FlushOption{"HoldBack", func(o *flushOptions) error {
		if d < 0 {
			return fmt.Errorf("%v; expected 0 or more", d)
		}
		o.holdBack = &d
		return nil
	}}
}

// Workers sets how many batches of a signal FlushMany sends side by side, and
// how many keys of an [OrderKey] FlushOrdered does; by default 1. FlushOrdered
// with more returns an error for a signal that has no OrderKey. On SQLite,
// where flushes take turns, more make nothing faster.
func Workers(n int) FlushOption {
	return FlushOption{"Workers", func(o *flushOptions) error {
		if n < 1 {
			return fmt.Errorf("%d; expected 1 or more", n)
		}
		o.workers = n
		return nil
	}}
}

// Burst sets the burst count for this call, in place of the signals' own.
// Used by Flush, FlushMany and FlushOrdered.
func Burst(n int) FlushOption {
	return FlushOption{"Burst", func(o *flushOptions) error {
		if err := checkBurst(n); err != nil {
			return err
		}
		o.burst = n
		return nil
	}}
}

// SkipDead makes FlushOrdered pass the signals that are parked as dead, which it
// otherwise stops at: what was to come after them leaves before them then. It
// changes nothing for signals without mixin.Retry.
func SkipDead() FlushOption {
	return FlushOption{"SkipDead", func(o *flushOptions) error {
		o.skipDead = true
		return nil
	}}
}

func checkBurst(n int) error {
	if n < 1 || n > MaxBurstCount {
		return fmt.Errorf("burst count %d; expected 1 to %d", n, MaxBurstCount)
	}
	return nil
}

// parseOptions applies the options of a method that uses those of the given
// names.
func parseOptions(method string, opts []FlushOption, used ...string) (flushOptions, error) {
	o := flushOptions{workers: 1}
	for _, opt := range opts {
		if !slices.Contains(used, opt.name) {
			return o, fmt.Errorf("entsignal: %s doesn't use the option %s; it uses: %s", method, opt.name, strings.Join(used, ", "))
		}
		if err := opt.apply(&o); err != nil {
			return o, fmt.Errorf("entsignal: %s: %s: %w", method, opt.name, err)
		}
	}
	return o, nil
}
