package engine

import (
	"context"
	"errors"
	"time"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/internal/backoff"
	"github.com/entsignal/signalbus/internal/budget"
	"github.com/entsignal/signalbus/internal/database"
)

// deliver claims, sends and deletes one batch, and returns how many of its rows
// were deleted. Only one ordered claim on a table, or on one key of it, runs at a
// time; others return ErrBusy.
//
// A conflict with another transaction is retried as long as nothing was passed to
// the sender.
func (e *Engine) deliver(ctx context.Context, st store, d *batch) (n int, err error) {
	work, cancel := e.budget.WithWork(ctx)
	defer cancel()
	began := time.Now()
	defer func() {
		took := time.Since(began)
		e.noteBatch(work, d, wayOf(work, d, n, err), took, err)
		if !errors.Is(err, entsignal.ErrBusy) || d.called {
			e.observeBatch(work, d, n, took, err, errors.Is(err, budget.ErrStuck))
		}
	}()
	for try := 0; ; try++ {
		n, err = budget.Do(work, e.budget, func(work context.Context) (int, error) {
			if err := e.check(work, st, d.signal.Table()); err != nil {
				return 0, err
			}
			n, err := st.Claim(work, database.Claim{
				Driver: st.driver, Table: d.signal.Table(), Fetch: d.fetch, Send: d.send,
				Only: d.only(), Durable: e.durable, Ordered: d.ordered(), Keys: d.sel.keys, Busy: d.noteBusy, SkipHeld: d.several(),
				Patience: e.patience(d), Settle: e.budget.Settle() / 2, Behind: e.life.LeaveBehind,
			})
			if err != nil && !d.called {
				return n, err
			}
			return n, e.noteUndecodable(work, st, d, err)
		})
		switch {
		case err == nil:
			return n, nil
		case errors.Is(err, budget.ErrStuck): // d still belongs to the claim that is stuck
			return 0, err
		case errors.Is(err, database.ErrBusy) && d.ordered():
			return 0, entsignal.ErrBusy
		case errors.Is(err, database.ErrBusy):
			return 0, entsignal.Unavailable(errOccupied)
		case d.called:
			return n, err
		case try == serializationRetries || !database.IsSerializationFailure(err) && !errors.Is(err, errMoved) || !e.pause(work, serializationBackoff(try)):
			return n, database.Away(budget.WithEnd(work, err))
		}
	}
}

// errOccupied is the error of an autoflush that could not begin.
var errOccupied = errors.New("another flush is using the database and its sender is slow; the signals stay pending until a flush")

// orderedPatience is the patience of one claim of an ordered flush. The flush
// itself tries again for as long as its caller wants.
const orderedPatience = 50 * time.Millisecond

// patience is how long a claim waits for others on a database where only one claim
// runs at a time. There a hanging sender would delay the commits of every type and
// every process. 0 means the whole time of the claim.
func (e *Engine) patience(d *batch) time.Duration {
	switch d.mode {
	case entsignal.ModeFlushOrdered:
		return orderedPatience
	case entsignal.ModeAutoFlush:
		if e.queue == nil { // otherwise no commit waits
			return e.budget.Work() / 16
		}
	}
	return 0
}

// deliverFor delivers a batch of a flush. The end of ctx, which belongs to the
// flush, ends a claim only before its sender is called. After that a message may be
// out, and it would be sent again if its row stayed. So the sender and the deletion
// get their time, whatever becomes of ctx.
func (e *Engine) deliverFor(ctx context.Context, st store, d *batch) (int, error) {
	if err := e.stopped(ctx); err != nil {
		return 0, err
	}
	work, end := context.WithCancelCause(withFlush(context.WithoutCancel(ctx), ctx))
	defer end(nil)
	stopped := func() { end(context.Cause(ctx)) }
	goOn := context.AfterFunc(ctx, stopped)
	defer goOn()
	d.mayBegin = func() bool {
		if goOn() {
			return true
		}
		stopped()
		return false
	}
	n, err := e.deliver(work, st, d)
	if err != nil && work.Err() != nil && !errors.Is(err, budget.ErrStuck) && !errors.Is(err, entsignal.ErrBusy) {
		err = e.stopped(ctx) // so nothing was sent, and there is no other failure
	}
	return n, err
}

// probeTime is how long a flush may search for signals that can be sent.
func (e *Engine) probeTime() time.Duration { return 3 * e.budget.Total() }

// noteUndecodable records, after the claim of a batch, which of its rows can't be
// decoded. It returns the error of the claim joined with theirs.
func (e *Engine) noteUndecodable(ctx context.Context, st store, d *batch, err error) error {
	err = d.withUndecodable(err)
	changes := d.undecodableChanges()
	if len(changes) == 0 {
		return err
	}
	settle := e.budget.Settle() / 2
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settle)
	defer cancel()
	if noteErr := st.Note(ctx, database.Note{Driver: st.driver, Table: d.signal.Table(), Changes: changes, Settle: settle}); noteErr != nil {
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
	return backoff.Doubling{Min: 100 * time.Millisecond, Max: time.Second}.Pause(try - 1)
}

// pause waits for d. It reports false if ctx ended or the bus is closing.
func (e *Engine) pause(ctx context.Context, d time.Duration) bool {
	return backoff.Wait(ctx, d, e.life.Done())
}

// stopped returns why a flush should not begin another batch, or nil.
func (e *Engine) stopped(ctx context.Context) error {
	if e.life.IsClosed() {
		return entsignal.ErrClosed
	}
	return endOf(ctx)
}
