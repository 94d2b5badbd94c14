package entsignal

import (
	"context"
	"errors"
	"fmt"
	"time"

	dbdialect "github.com/entsignal/signalbus/entsignal/internal/dialect"
)

// deliver claims, sends and deletes one batch, and returns how many of its
// rows are gone. Of the ordered claims on one table, or on one key of it,
// only one runs at a time; the others are ErrBusy.
//
// A conflict with another transaction is tried again as long as nothing was
// given to the sender.
func (b *Bus) deliver(ctx context.Context, st store, t signalType, d batch, ordered bool) (n int, err error) {
	work, cancel := b.withWorkTime(ctx)
	defer cancel()
	defer func() { b.noteBatch(work, t, d, err) }()
	if err := b.tellMisfits(work, st); work.Err() != nil {
		return 0, because(work, err)
	}
	for try := 0; ; try++ {
		n, err = b.within(work, func() (int, error) {
			return st.Claim(work, dbdialect.Claim{Driver: st.driver, Batch: d, Ordered: ordered, Key: d.key(), Settle: b.settleTime() / 2})
		})
		switch {
		case err == nil:
			return n, nil
		case errors.Is(err, errStuck): // d still belongs to the claim that is stuck
			return 0, err
		case errors.Is(err, dbdialect.ErrBusy):
			return 0, ErrBusy
		case d.started():
			return n, err
		case try == serializationRetries || !dbdialect.IsSerializationFailure(err) || !b.pause(work, serializationBackoff(try)):
			return n, ofDatabase(work, err)
		}
	}
}

// The time of a batch: the sender gets the work time, the transaction's end
// the settle time, and together they are the flush timeout.
func (b *Bus) settleTime() time.Duration { return b.timeout / 5 }
func (b *Bus) workTime() time.Duration   { return b.timeout - b.settleTime() }

// serializationRetries is how often a batch is tried again.
const serializationRetries = 11

// serializationBackoff returns the pause after a try, counted from 0: none,
// then 0.1 s, doubled up to 1 s.
func serializationBackoff(try int) time.Duration {
	if try == 0 {
		return 0
	}
	return min(100*time.Millisecond<<min(try-1, 4), time.Second)
}

// withWorkTime returns a context that ends with the work time.
func (b *Bus) withWorkTime(ctx context.Context) (context.Context, context.CancelFunc) {
	return b.withTime(ctx, b.workTime())
}

// withTime returns a context that ends after d, as a part of the flush timeout.
func (b *Bus) withTime(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, d, b.timeUp)
}

// errStuck is the error of a claim that didn't end when it had to.
var errStuck = errors.New("left behind, still running")

// within runs claim and returns its result; when ctx has ended and the settle
// time has passed too it returns without it. Not every driver ends a query
// when its context ends: lib/pq waits on a dead network until the kernel
// gives up. The claim that is left behind is counted until it ends, sends
// nothing anymore if it had not begun to, and deletes only what it sent.
func (b *Bus) within(ctx context.Context, claim func() (int, error)) (int, error) {
	type result struct {
		n   int
		err error
	}
	results := make(chan result, 1)
	b.life.join()
	go func() {
		defer b.life.leave()
		r := result{err: errors.New("the sender ended its goroutine")}
		defer func() { results <- r }()
		r.n, r.err = recovered(claim)
	}()
	select {
	case r := <-results:
		return r.n, r.err
	case <-ctx.Done():
	}
	timer := time.NewTimer(b.settleTime())
	defer timer.Stop()
	select {
	case r := <-results:
		return r.n, r.err
	case <-timer.C:
		return 0, fmt.Errorf("%w: %w", errStuck, context.Cause(ctx))
	}
}

// awayError is an error of a database that can't be reached. Those of senders
// may look the same.
type awayError struct{ error }

func (e *awayError) Unwrap() error { return e.error }

// ofDatabase returns an error that the database, and no sender, has caused.
func ofDatabase(ctx context.Context, err error) error {
	err = because(ctx, err)
	if dbdialect.IsUnavailable(err) {
		return &awayError{err}
	}
	return err
}

// because adds the end of ctx to an error of the database that came of it. Of
// lib/pq that says only that the user cancelled a statement.
func because(ctx context.Context, err error) error {
	if err == nil || ctx.Err() == nil || errors.Is(err, ctx.Err()) {
		return err
	}
	return fmt.Errorf("%w: %w", context.Cause(ctx), err)
}

// pause waits for d. It reports false if ctx ended or the bus is closing.
func (b *Bus) pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	case <-b.life.done():
		return false
	}
}

// stopped returns why a flush should not begin another batch, or nil.
func (b *Bus) stopped(ctx context.Context) error {
	select {
	case <-b.life.done():
		return ErrClosed
	default:
		return ctx.Err()
	}
}
