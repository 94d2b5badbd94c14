package entsignal

import (
	"context"

	"github.com/entsignal/signalbus/internal/foreign"
	"github.com/entsignal/signalbus/internal/sending"
)

// A Sender hands signals of one type to the message bus. T is the generated
// entity, such as *ent.OrderPlaced.
//
// A sender returns nil only when the broker has stored every message; the
// bus then deletes the rows. A sender that sent a part returns a
// [*BatchError]; any other error, and a panic, say that nothing was sent.
// Signals that are not sent stay pending. An error that wraps [Unavailable]
// says that trying other signals is of no use now.
//
// After an error that doesn't say which signals are at fault the sender is
// called again, with halves of the batch, until those at fault are alone; so
// one that returned it after it had sent some sends them again. A sender that
// fails for everything is called about 3·log2(n) times for n signals.
//
// A sender may be called by several goroutines at once. It has to return
// when ctx ends; ctx ends when the time of [WithFlushTimeout] is nearly over, and
// not with the context of the flush's caller. What it is sending, and why, is in
// [BatchFromContext].
type Sender[T any] func(ctx context.Context, signals []T) error

// Each returns a [Sender] that calls send for one signal after the other. It
// tries every signal and reports each; a panic is the error of its signal. It
// stops, and marks the rest with [ErrNotTried] or ctx's error, when an error
// wraps [Unavailable] or ctx ends; in a FlushOrdered it stops at the first
// error, because a later signal must not overtake.
func Each[T any](send func(ctx context.Context, signal T) error) Sender[T] {
	return func(ctx context.Context, signals []T) error {
		batch, inBatch := BatchFromContext(ctx)
		errs := make([]error, len(signals))
		failed := false
		for i, signal := range signals {
			one := ctx
			if inBatch && len(batch.Items) == len(signals) {
				one = sending.WithBatch(ctx, Batch{Signal: batch.Signal, Mode: batch.Mode, Items: batch.Items[i : i+1]})
			}
			err := ctx.Err()
			if err == nil {
				err = foreign.CallSender(func() error { return send(one, signal) })
			}
			if err == nil {
				continue
			}
			errs[i], failed = err, true
			if rest := stopEach(ctx, batch.Mode, err); rest != nil {
				for i++; i < len(signals); i++ {
					errs[i] = rest
				}
				break
			}
		}
		if failed {
			return &BatchError{Errors: errs}
		}
		return nil
	}
}

// stopEach returns the error of the signals that Each doesn't try after err,
// or nil if it goes on.
func stopEach(ctx context.Context, mode Mode, err error) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case IsUnavailable(err):
		return Unavailable(ErrNotTried)
	case mode == ModeFlushOrdered:
		return ErrNotTried
	default:
		return nil
	}
}

// Published tells the flush that has called a sender with ctx that all
// messages of the batch are handed to the broker, and that only its answer is
// awaited. FlushMany, and autoflushes that commits wait for, then begin with the
// next batch, which hides the wait: a worker has up to two batches under way, and
// so have the autoflushes of a type. It changes nothing else, and a sender need
// not call it; one that does may be called again before it has returned. With
// another context it does nothing.
func Published(ctx context.Context) { sending.Published(ctx) }
