package entsignal

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/entsignal/signalbus/internal/option"
)

// MaxBurstCount is the highest burst count. It keeps one statement below
// the parameters that SQLite allows, 32,766.
const MaxBurstCount = 30000

// A BusOption sets up a [Bus]. It is given to the generated NewSignalBus.
type BusOption interface{ busOption() }

type busOption struct{ option.Option[option.Bus] }

func (busOption) busOption() {}

// WithLogger makes the bus log to l. The default is silence. If the handler of l
// panics, the error handler is told.
func WithLogger(l *slog.Logger) BusOption {
	return busOption{option.New("WithLogger", func(b *option.Bus) error {
		if l == nil {
			return errors.New("WithLogger: the logger is nil")
		}
		b.Log = l
		return nil
	})}
}

// WithErrorHandler makes the bus call handle with every error that no caller
// gets: those of autoflushes. The signals that it is about stay pending.
// handle runs before the commit returns and gets a context that is not
// cancelled. By default such errors are logged only. If handle panics, that is
// logged.
func WithErrorHandler(handle func(ctx context.Context, err error)) BusOption {
	return busOption{option.New("WithErrorHandler", func(b *option.Bus) error {
		if handle == nil {
			return errors.New("WithErrorHandler: the handler is nil")
		}
		b.HandleError = handle
		return nil
	})}
}

// WithFlushTimeout bounds how long an autoflush may hold up a commit, and how
// long one batch or one query of any flush, of Pending and the like, may take, on
// a dead network too. The default is 10 seconds. Senders get four fifths of it;
// the rest is for the end of the transaction. What isn't sent in time stays
// pending.
func WithFlushTimeout(d time.Duration) BusOption {
	return busOption{option.New("WithFlushTimeout", func(b *option.Bus) error {
		if d <= 0 {
			return fmt.Errorf("WithFlushTimeout: %v; expected more than 0", d)
		}
		b.FlushTimeout = d
		return nil
	})}
}

// WithBurstCount sets the burst count of the signals whose schema sets none.
// The default is 1.
func WithBurstCount(n int) BusOption {
	return busOption{option.New("WithBurstCount", func(b *option.Bus) error {
		if err := checkBurst(n); err != nil {
			return fmt.Errorf("WithBurstCount: %w", err)
		}
		b.BurstCount = n
		return nil
	})}
}

// WithBatchBytes makes the flushes take fewer rows at a time than the burst count
// says, if those of the last batch were so large that as many would take more than
// n bytes of memory. The first batch of a signal type goes by the burst count alone.
// One row goes however large it is. The default is 64 MiB. It is an estimate and no limit:
// see docs/flushes.md for how many batches there are at a time.
func WithBatchBytes(n int) BusOption {
	return busOption{option.New("WithBatchBytes", func(b *option.Bus) error {
		if n <= 0 {
			return fmt.Errorf("WithBatchBytes: %d; expected more than 0", n)
		}
		b.BatchBytes = int64(n)
		return nil
	})}
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
	return busOption{option.New("WithAsync", func(b *option.Bus) error {
		if queue < 1 {
			return fmt.Errorf("WithAsync: a queue of %d signals; expected 1 or more", queue)
		}
		b.Queue = queue
		return nil
	})}
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
	return busOption{option.New("WithAutocommitDriver", func(b *option.Bus) error {
		b.Autocommit = true
		return nil
	})}
}

// WithMissingSenders allows signals without a sender. A flush that names one
// fails with [ErrNoSender]; a flush of all signals leaves it out and logs so
// once. The signals stay pending.
func WithMissingSenders() BusOption {
	return busOption{option.New("WithMissingSenders", func(b *option.Bus) error {
		b.MissingSenders = true
		return nil
	})}
}

// WithSetup calls setup with the bus when it is made, before NewSignalBus returns. An
// error fails NewSignalBus. It is for packages that extend a bus by an option of their
// own. No client is bound to the bus by then.
func WithSetup(setup func(*Bus) error) BusOption {
	return busOption{option.New("WithSetup", func(b *option.Bus) error {
		if setup == nil {
			return errors.New("WithSetup: the function is nil")
		}
		b.Setup = append(b.Setup, func(bus any) error { return setup(bus.(*Bus)) })
		return nil
	})}
}
