package entsignal

import (
	"context"

	"github.com/entsignal/signalbus/internal/foreign"
	"github.com/entsignal/signalbus/internal/sending"
)

// A Sender sends signals of one type to the message bus. T is the generated entity,
// such as *ent.OrderPlaced.
//
// A sender returns nil only if the broker has stored every message. The bus then
// deletes the rows. A sender that sent only some of them returns a [*BatchError].
// Any other error, and a panic, mean that nothing was sent. Signals that were not
// sent stay pending. An error that wraps [Unavailable] means that other signals
// can't be sent now either.
//
// After an error that doesn't identify the failed signals, the bus calls the sender
// again with halves of the batch until it has isolated them. So if such a sender
// had already sent some of the signals, it sends those again. A sender that always
// fails is called about 3·log2(n) times for n signals.
//
// A sender may be called by several goroutines at the same time. It must return
// when ctx ends. ctx ends when the time of [WithFlushTimeout] is nearly over; it
// does not end with the context of the flush's caller. [BatchFromContext] returns
// what is being sent, and by which operation.
type Sender[T any] func(ctx context.Context, signals []T) error

// Each returns a [Sender] that calls send for one signal after the other. It tries
// every signal and reports the result of each. A panic is the error of its signal.
// If an error wraps [Unavailable] or ctx ends, it stops and marks the rest with
// [ErrNotTried] or ctx's error. In a FlushOrdered it stops at the first error, so
// that no later signal overtakes.
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

// stopEach returns the error for the signals that Each doesn't try after err, or
// nil if it continues.
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

// Published reports to the flush that called the sender with ctx that all messages
// of the batch were handed to the broker and only its confirmation is outstanding.
// FlushMany, and autoflushes that commits wait for, then start the next batch in
// the meantime. So a worker has up to two batches in progress, and so have the
// autoflushes of a type. Published changes nothing else, and calling it is
// optional. A sender that calls it may be called again before it has returned. With
// any other context it does nothing.
func Published(ctx context.Context) { sending.Published(ctx) }
