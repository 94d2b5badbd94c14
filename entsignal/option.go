package entsignal

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/entsignal/signalbus/internal/option"
)

// MaxBurstCount is the highest burst count. It keeps one statement below SQLite's
// limit of 32,766 parameters.
const MaxBurstCount = 30000

// A BusOption configures a [Bus]. Pass it to the generated NewSignalBus.
type BusOption interface{ busOption() }

type busOption struct{ option.Option[option.Bus] }

func (busOption) busOption() {}

// WithLogger makes the bus log to l. By default it doesn't log. If the handler of l
// panics, the error handler gets the panic as an error.
func WithLogger(l *slog.Logger) BusOption {
	return busOption{option.New("WithLogger", func(b *option.Bus) error {
		if l == nil {
			return errors.New("WithLogger: the logger is nil")
		}
		b.Log = l
		return nil
	})}
}

// WithErrorHandler makes the bus call handle with every error that is not returned
// to a caller, such as those of autoflushes. The signals concerned stay pending.
// handle runs before the commit returns. Its context is not cancelled. By default
// such errors are only logged. A panic of handle is logged.
func WithErrorHandler(handle func(ctx context.Context, err error)) BusOption {
	return busOption{option.New("WithErrorHandler", func(b *option.Bus) error {
		if handle == nil {
			return errors.New("WithErrorHandler: the handler is nil")
		}
		b.HandleError = handle
		return nil
	})}
}

// WithFlushTimeout limits how long an autoflush may delay a commit. It also limits
// each batch and each query of any flush, of Pending and of similar methods, on a
// dead network too. The default is 10 seconds. Senders get four fifths of it, and
// the rest is for ending the transaction. Signals that aren't sent in time stay
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

// WithBurstCount sets the burst count of signals whose schema sets none. By default
// it grows; see [BurstCount].
func WithBurstCount(n int) BusOption {
	return busOption{option.New("WithBurstCount", func(b *option.Bus) error {
		if err := checkBurst(n); err != nil {
			return fmt.Errorf("WithBurstCount: %w", err)
		}
		b.BurstCount = n
		return nil
	})}
}

// WithBatchBytes limits the estimated memory of a batch to n bytes. If the rows of
// the last batch were so large that a full burst would need more, the next batch
// takes fewer rows. The first batch of a signal type always takes a full burst, and
// a batch always has at least one row, however large. The default is 64 MiB. This
// is an estimate and not a hard limit; docs/flushes.md explains how many batches
// run at the same time.
func WithBatchBytes(n int) BusOption {
	return busOption{option.New("WithBatchBytes", func(b *option.Bus) error {
		if n <= 0 {
			return fmt.Errorf("WithBatchBytes: %d; expected more than 0", n)
		}
		b.BatchBytes = int64(n)
		return nil
	})}
}

// WithAsync makes autoflushes run in the background, so that a commit doesn't wait
// for them. Up to queue signals may be waiting or on their way. By default a commit
// waits until its signals are sent. Signals of a commit that finds the queue full
// stay pending until a flush. The error handler gets [ErrQueueFull] when that
// happens, and not again until the queue has been half empty. [Bus.Close] waits
// until the queue is empty.
//
// With this option a successful commit doesn't mean that its messages were sent. If
// the process dies, the signals in the queue stay pending.
func WithAsync(queue int) BusOption {
	return busOption{option.New("WithAsync", func(b *option.Bus) error {
		if queue < 1 {
			return fmt.Errorf("WithAsync: a queue of %d signals; expected 1 or more", queue)
		}
		b.Queue = queue
		return nil
	})}
}

// WithDurableDeletion makes the database write the deletion of sent signals to its
// disk, and to the standbys that its synchronous_commit asks for, before a commit or a
// flush goes on. By default a bus doesn't wait for that on PostgreSQL: it deletes with
// synchronous_commit off, and if the server crashes, messages of the last moments,
// three times wal_writer_delay at most (0.6 seconds), may be sent again. Nothing else
// can be lost: that a signal was recorded is as durable as your transaction made it.
//
// It has no effect on other databases, where one transaction can't ask for less.
func WithDurableDeletion() BusOption {
	return busOption{option.New("WithDurableDeletion", func(b *option.Bus) error {
		b.Durable = true
		return nil
	})}
}

// WithAutocommitDriver declares that the client's driver commits each statement
// outside a transaction before it returns. The bus then sends signals that are
// created outside a transaction at once. By default it does so only with ent's own
// driver over a *sql.DB. With any other driver, such as one that separates reads
// from writes or adds comments to statements, such signals stay pending until a
// flush, and the error handler gets [ErrNotCollected] once. In ent's transactions,
// signals are collected with every driver.
//
// It has no effect on ent's driver over a *sql.Tx.
func WithAutocommitDriver() BusOption {
	return busOption{option.New("WithAutocommitDriver", func(b *option.Bus) error {
		b.Autocommit = true
		return nil
	})}
}

// WithMissingSenders allows signals without a sender. A flush that names one fails
// with [ErrNoSender]. A flush of all signals leaves it out, and logs that once. The
// signals stay pending.
func WithMissingSenders() BusOption {
	return busOption{option.New("WithMissingSenders", func(b *option.Bus) error {
		b.MissingSenders = true
		return nil
	})}
}

// WithSetup calls setup with the new bus before NewSignalBus returns. If setup
// returns an error, NewSignalBus fails. It is meant for packages that extend a bus
// with an option of their own. No client is bound to the bus yet.
func WithSetup(setup func(*Bus) error) BusOption {
	return busOption{option.New("WithSetup", func(b *option.Bus) error {
		if setup == nil {
			return errors.New("WithSetup: the function is nil")
		}
		b.Setup = append(b.Setup, func(bus any) error { return setup(bus.(*Bus)) })
		return nil
	})}
}
