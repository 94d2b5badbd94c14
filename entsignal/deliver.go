package entsignal

import (
	"context"
	"errors"
	"time"

	"github.com/entsignal/signalbus/internal/database"
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
	began := time.Now()
	defer func() { b.noteBatch(work, t, wayOf(work, d, n, err), time.Since(began), err) }()
	for try := 0; ; try++ {
		n, err = bounded(work, b, func(work context.Context) (int, error) {
			if err := b.check(work, st, d.Table()); err != nil {
				return 0, err
			}
			n, err := st.Claim(work, database.Claim{Driver: st.driver, Batch: d, Ordered: ordered, Key: d.key(), Patience: b.turnPatience(d), Settle: b.settleTime() / 2})
			if err != nil && !d.started() {
				return n, err
			}
			return n, b.noteUndecodable(work, st, d, err)
		})
		switch {
		case err == nil:
			return n, nil
		case errors.Is(err, errStuck): // d still belongs to the claim that is stuck
			return 0, err
		case errors.Is(err, database.ErrBusy) && ordered:
			return 0, ErrBusy
		case errors.Is(err, database.ErrBusy):
			return 0, Unavailable(errTurnTaken)
		case d.started():
			return n, err
		case try == serializationRetries || !database.IsSerializationFailure(err) && !errors.Is(err, errMoved) || !b.pause(work, serializationBackoff(try)):
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

// deliverFor delivers a batch of a flush. The end of ctx, the flush's own, ends
// a claim as long as its sender wasn't called. From then on a message may be
// out, which would be sent again if its row stayed: so the sender and the
// deletion have their time, whatever becomes of ctx.
func (b *Bus) deliverFor(ctx context.Context, st store, t signalType, d batch, ordered bool) (int, error) {
	if err := b.stopped(ctx); err != nil {
		return 0, err
	}
	work, end := context.WithCancelCause(withFlush(context.WithoutCancel(ctx), ctx))
	defer end(nil)
	stopped := func() { end(context.Cause(ctx)) }
	goOn := context.AfterFunc(ctx, stopped)
	defer goOn()
	n, err := b.deliver(work, st, t, &unsent{batch: d, mayBegin: func() bool {
		if goOn() {
			return true
		}
		stopped()
		return false
	}}, ordered)
	if err != nil && work.Err() != nil && !errors.Is(err, errStuck) && !errors.Is(err, ErrBusy) {
		err = b.stopped(ctx) // so nothing was sent, and there is no other failure
	}
	return n, err
}

// unsent is a batch that stays where it is if its flush is stopped before its
// sender is called.
type unsent struct {
	batch
	mayBegin func() bool // is called once; from then on the batch can't be stopped
}

// Send implements the dialect's Batch.
func (u *unsent) Send(ctx context.Context) (int, error) {
	if !u.mayBegin() {
		return 0, context.Canceled
	}
	return u.batch.Send(ctx)
}

type flushKey struct{}

// withFlush returns the context of a batch, with that of the flush that it is of.
func withFlush(ctx, flush context.Context) context.Context {
	return context.WithValue(ctx, flushKey{}, flush)
}

// endOf returns the error of a context of a batch that has ended, or of which
// the caller's has: its sender may know that one too.
func endOf(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	flush, ok := ctx.Value(flushKey{}).(context.Context)
	if !ok || errors.Is(context.Cause(flush), ErrClosed) {
		return nil
	}
	return flush.Err()
}

// probeTime is how long a flush may look for signals that can be sent.
func (b *Bus) probeTime() time.Duration { return 3 * b.timeout }

// noteUndecodable notes, after the claim of a batch, which of its rows can't be
// decoded, and returns the error of the claim together with theirs.
func (b *Bus) noteUndecodable(ctx context.Context, st store, d batch, err error) error {
	err = d.explained(err)
	changes := d.undecodable()
	if len(changes) == 0 {
		return err
	}
	settle := b.settleTime() / 2
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settle)
	defer cancel()
	if noteErr := st.Note(ctx, database.Note{Driver: st.driver, Table: d.Table(), Changes: changes, Settle: settle}); noteErr != nil {
		return errors.Join(err, database.NotNoted(noteErr))
	}
	return err
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
	if database.IsUnavailable(err) {
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
	if b.life.isClosed() {
		return ErrClosed
	}
	return endOf(ctx)
}
