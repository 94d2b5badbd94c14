// Package budget limits the time of each call that waits for a database or a
// sender. When the time is over, it returns without waiting for the call.
//
//	├──────────── work time, 4/5 ────────────┤── settle time, 1/5 ──┤
//	the call begins                          │                      │
//	                 its context ends here ──┘                      │
//	      and here nobody waits for it anymore: the error is ErrStuck
//
// Senders have the work time. The settle time is for ending a transaction whose
// messages are sent. Together they are the flush timeout.
//
// Not every driver ends a query when its context ends. On a dead network lib/pq
// waits until the kernel gives up. The bus counts such an abandoned call until it
// ends. The call may still use its variables, so it must return its result instead
// of writing it to where its caller reads. An abandoned claim sends nothing if it
// had not begun to, and deletes only what it sent.
package budget

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/internal/database"
	"github.com/entsignal/signalbus/internal/foreign"
	"github.com/entsignal/signalbus/internal/lifecycle"
)

// A Budget limits the calls of one bus.
type Budget struct {
	total  time.Duration
	timeUp error // the cause of contexts that the budget ends
	life   *lifecycle.Lifecycle
}

// New returns the budget of a bus whose calls may take total each.
func New(total time.Duration, life *lifecycle.Lifecycle) *Budget {
	return &Budget{total, fmt.Errorf("flush timeout of %v: %w", total, context.DeadlineExceeded), life}
}

// Total returns the time of a call.
func (b *Budget) Total() time.Duration { return b.total }

// Settle returns the time for ending a transaction.
func (b *Budget) Settle() time.Duration { return b.total / 5 }

// Work returns the time for everything before that.
func (b *Budget) Work() time.Duration { return b.total - b.Settle() }

// WithWork returns a context that ends with the work time.
func (b *Budget) WithWork(ctx context.Context) (context.Context, context.CancelFunc) {
	return b.WithPart(ctx, b.Work())
}

// WithPart returns a context that ends after d, with the cause of the budget.
func (b *Budget) WithPart(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, d, b.timeUp)
}

// ErrStuck is the error of a call that didn't end in time.
var ErrStuck = errors.New("abandoned, still running")

// Do runs call, which does everything that waits for a database or a sender, and
// returns its result. If the budget is used up first, it returns without a result.
// The context of call ends with the work time.
func Do[R any](ctx context.Context, b *Budget, call func(context.Context) (R, error)) (R, error) {
	if ctx.Err() != nil {
		var none R
		return none, whyEnded(ctx)
	}
	ctx, cancel := b.WithWork(ctx)
	defer cancel()
	return Await(ctx, b, func() (R, error) { return call(ctx) })
}

// Await runs call, which uses ctx, and returns its result. If call still runs when
// ctx has ended and the settle time is over, Await returns without a result.
func Await[R any](ctx context.Context, b *Budget, call func() (R, error)) (R, error) {
	type result struct {
		value R
		err   error
	}
	results := make(chan result, 1)
	w := witnessOf(ctx)
	w.Began()
	defer w.Ended()
	go func() {
		r := result{err: errors.New("the sender ended its goroutine (runtime.Goexit)")}
		defer func() { results <- r }()
		r.value, r.err = foreign.Call(call)
	}()
	select {
	case r := <-results:
		return r.value, r.err
	case <-ctx.Done():
	}
	timer := time.NewTimer(b.Settle())
	defer timer.Stop()
	select {
	case r := <-results:
		return r.value, r.err
	case <-timer.C:
		returned := w.LeftBehind()
		b.life.LeaveBehind(func() {
			<-results
			returned()
		})
		var none R
		return none, fmt.Errorf("%w: %w", ErrStuck, whyEnded(ctx))
	}
}

// Ask is [Do] for a query that calls no sender. Its error contains why the query
// ended. An error that means that the database is away is marked by
// [database.Away].
func Ask[R any](ctx context.Context, b *Budget, query func(context.Context) (R, error)) (R, error) {
	answer, err := Do(ctx, b, func(ctx context.Context) (R, error) {
		answer, err := query(ctx)
		return answer, WithEnd(ctx, err)
	})
	return answer, database.Away(WithEnd(ctx, err))
}

// whyEnded returns why ctx has ended. The cause alone need not show that a context
// has ended.
func whyEnded(ctx context.Context) error {
	cause := context.Cause(ctx)
	if errors.Is(cause, ctx.Err()) || errors.Is(cause, entsignal.ErrClosed) {
		return cause
	}
	return fmt.Errorf("%w: %w", ctx.Err(), cause)
}

// WithEnd adds the end of ctx to an error of the database that it caused; lib/pq
// reports only that the user cancelled a statement. If the bus is being closed, it
// returns only that.
func WithEnd(ctx context.Context, err error) error {
	switch {
	case err == nil || ctx.Err() == nil:
		return err
	case errors.Is(context.Cause(ctx), entsignal.ErrClosed) && !errors.Is(err, ErrStuck):
		return entsignal.ErrClosed
	case errors.Is(err, context.Cause(ctx)):
		return err
	default:
		return fmt.Errorf("%w: %w", whyEnded(ctx), err)
	}
}
