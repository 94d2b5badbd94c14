package entsignal

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/entsignal/signalbus/internal/foreign"
)

// The time of a batch: the sender gets the work time, the transaction's end
// the settle time, and together they are the flush timeout.
func (b *Bus) settleTime() time.Duration { return b.timeout / 5 }
func (b *Bus) workTime() time.Duration   { return b.timeout - b.settleTime() }

// withWorkTime returns a context that ends with the work time.
func (b *Bus) withWorkTime(ctx context.Context) (context.Context, context.CancelFunc) {
	return b.withTime(ctx, b.workTime())
}

// withTime returns a context that ends after d, as a part of the flush timeout.
func (b *Bus) withTime(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, d, b.timeUp)
}

// errStuck is the error of a query that didn't end when it had to.
var errStuck = errors.New("left behind, still running")

// bounded runs query, which is all that waits for a database or a sender, and
// returns its result. The context of query ends with the work time; when that
// has ended and the settle time has passed too, bounded returns without a
// result. Not every driver ends a query when its context ends: lib/pq waits on
// a dead network until the kernel gives up.
//
// A query that is left behind is counted until it ends. All that it still uses
// is its own by then: so it must return what it finds, and not write it to
// where its caller reads. A claim sends nothing anymore if it had not begun to,
// and deletes only what it sent.
func bounded[R any](ctx context.Context, b *Bus, query func(context.Context) (R, error)) (R, error) {
	type result struct {
		value R
		err   error
	}
	var none R
	if ctx.Err() != nil {
		return none, whyEnded(ctx)
	}
	ctx, cancel := b.withWorkTime(ctx)
	defer cancel()
	results := make(chan result, 1)
	go func() {
		r := result{err: errors.New("the sender ended its goroutine")}
		defer func() { results <- r }()
		r.value, r.err = foreign.Call(func() (R, error) { return query(ctx) })
	}()
	select {
	case r := <-results:
		return r.value, r.err
	case <-ctx.Done():
	}
	timer := time.NewTimer(b.settleTime())
	defer timer.Stop()
	select {
	case r := <-results:
		return r.value, r.err
	case <-timer.C:
		b.life.leaveBehind(func() { <-results })
		return none, fmt.Errorf("%w: %w", errStuck, whyEnded(ctx))
	}
}

// ask is [bounded] for a query that calls no sender: what ends it is told in its
// error.
func ask[R any](ctx context.Context, b *Bus, query func(context.Context) (R, error)) (R, error) {
	answer, err := bounded(ctx, b, func(ctx context.Context) (R, error) {
		answer, err := query(ctx)
		return answer, because(ctx, err)
	})
	return answer, ofDatabase(ctx, err)
}

// whyEnded returns why ctx has ended: its cause, which need not say that it is
// the end of a context.
func whyEnded(ctx context.Context) error {
	cause := context.Cause(ctx)
	if errors.Is(cause, ctx.Err()) || errors.Is(cause, ErrClosed) {
		return cause
	}
	return fmt.Errorf("%w: %w", ctx.Err(), cause)
}

// because adds the end of ctx to an error of the database that came of it. Of
// lib/pq that says only that the user cancelled a statement. If that is because
// the bus closes, it is all there is to say.
func because(ctx context.Context, err error) error {
	switch {
	case err == nil || ctx.Err() == nil:
		return err
	case errors.Is(context.Cause(ctx), ErrClosed) && !errors.Is(err, errStuck):
		return ErrClosed
	case errors.Is(err, context.Cause(ctx)):
		return err
	default:
		return fmt.Errorf("%w: %w", whyEnded(ctx), err)
	}
}
