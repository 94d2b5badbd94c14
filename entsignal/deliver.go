package entsignal

import (
	"context"
	"errors"
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
	for try := 0; ; try++ {
		n, err = bounded(work, b, func(work context.Context) (int, error) {
			if err := b.check(work, st, d.Table()); err != nil {
				return 0, err
			}
			return st.Claim(work, dbdialect.Claim{Driver: st.driver, Batch: d, Ordered: ordered, Key: d.key(), Patience: b.turnPatience(d), Settle: b.settleTime() / 2})
		})
		switch {
		case err == nil:
			return n, nil
		case errors.Is(err, errStuck): // d still belongs to the claim that is stuck
			return 0, err
		case errors.Is(err, dbdialect.ErrBusy) && ordered:
			return 0, ErrBusy
		case errors.Is(err, dbdialect.ErrBusy):
			return 0, Unavailable(errTurnTaken)
		case d.started():
			return n, err
		case try == serializationRetries || !dbdialect.IsSerializationFailure(err) && !errors.Is(err, errMoved) || !b.pause(work, serializationBackoff(try)):
			return n, ofDatabase(work, err)
		}
	}
}

// errTurnTaken is the error of an autoflush that could not begin.
var errTurnTaken = errors.New("another flush has the database's turn, and its sender takes long; the signals wait for a flush")

// orderedTurnPatience is how long one claim of an ordered flush waits for its
// turn. The flush itself tries again, as long as its caller wants it to.
const orderedTurnPatience = 50 * time.Millisecond

// turnPatience is how long a claim waits for its turn on a database where claims
// take turns: there a sender that hangs would hold up the commits of every type
// and every process. 0 stands for the whole time of the claim.
func (b *Bus) turnPatience(d batch) time.Duration {
	switch d.mode() {
	case ModeFlushOrdered:
		return orderedTurnPatience
	case ModeAutoFlush:
		if b.queue == nil { // else no commit waits
			return b.workTime() / 16
		}
	}
	return 0
}

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
