package engine

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"entgo.io/ent/dialect"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/internal/budget"
	"github.com/entsignal/signalbus/internal/database"
)

// sequence is what an ordered flush needs of the sequence from which ids are drawn:
// up to which id the table is complete, and which transactions are to blame if that
// isn't far enough.
type sequence interface {
	Watermark(ctx context.Context, drv dialect.Driver, m *database.History, above int64) (database.Watermark, error)
	Waiting(ctx context.Context, drv dialect.Driver, m *database.History, low, top int64) (database.Waiting, error)
	// Lockers returns the transactions that prevent Watermark from reading.
	Lockers(ctx context.Context, drv dialect.Driver) ([]database.Blocker, error)
	String() string
}

// flushStrict sends the rows that are there, each as soon as no transaction can
// commit a row with a lower id. It waits for such transactions and blocks no
// writer.
func (t *task) flushStrict(ctx context.Context, seq sequence, send orderedSend) (sent int, err error) {
	w := watch{task: t, seq: seq, history: t.takeHistory(), patience: t.opts.HoldBackTime()}
	done := int64(math.MinInt64) // everything up to this id was sent
	mark, err := w.watermark(ctx, done)
	if err != nil {
		return 0, err
	}
	defer func() {
		if w.history != nil {
			t.history.Store(w.history)
		}
	}()
	target, first := min(mark.Last, mark.Top), mark
	for mark.Rows && mark.Bottom <= target {
		if safe := min(mark.Low, target); mark.Bottom <= safe {
			n, err := send(ctx, safe)
			sent += n
			if err != nil {
				return sent, err
			}
			done = safe
		}
		if mark.Low >= target {
			break
		}
		if err := w.wait(ctx, mark.Low, target); err != nil {
			return sent, err
		}
		low := mark.Low
		if mark, err = w.watermark(ctx, done); err != nil {
			return sent, w.withBlockers(ctx, err, low, target)
		}
		target = min(target, mark.Last) // it was set back
	}
	if !first.Rows || first.Top <= first.Last { // otherwise some ids weren't drawn from the sequence
		return sent, nil
	}
	t.engine.logNotStrict(ctx, t.info.Name, notDrawn(seq, first))
	n, err := send(ctx, first.Top)
	return sent + n, err
}

// notDrawn returns why the order isn't strict for the given watermark.
func notDrawn(seq sequence, s database.Watermark) string {
	return fmt.Sprintf("there are ids up to %d, which were not drawn from the sequence %s; such signals are sent after the others", s.Top, seq)
}

// takeHistory returns what the last ordered flush of the type has seen, and removes
// it, because two concurrent flushes can't share it.
func (t *signalType) takeHistory() *database.History {
	if m := t.history.Swap(nil); m != nil {
		return m
	}
	return &database.History{}
}

// watch lets one strict flush watch the open transactions.
type watch struct {
	*task
	seq      sequence
	history  *database.History // nil while a query may still use it
	patience time.Duration
	waited   time.Duration
}

// watermark looks at the open transactions, and at the rows above an id. An
// uncommitted TRUNCATE, ALTER TABLE or ALTER SEQUENCE prevents that, and is waited
// for like any other transaction.
func (w *watch) watermark(ctx context.Context, above int64) (database.Watermark, error) {
	for began := time.Now(); ; {
		asked := time.Now()
		mark, err := w.watermarkOnce(ctx, above)
		if err == nil || w.history == nil || ctx.Err() == nil && !errors.Is(err, context.DeadlineExceeded) {
			return mark, err
		}
		w.waited += time.Since(asked)
		held, heldErr := w.lockedOut(ctx)
		switch {
		case ctx.Err() != nil && held != nil:
			return mark, errors.Join(w.engine.stopped(ctx), held)
		case ctx.Err() != nil:
			return mark, err
		case heldErr != nil:
			return mark, errors.Join(err, heldErr)
		case held != nil && w.waited >= w.patience:
			return mark, held
		case held == nil && time.Since(began) > w.engine.budget.Work():
			return mark, err
		}
	}
}

// watermarkOnce looks once, for as long as the patience lasts.
func (w *watch) watermarkOnce(ctx context.Context, above int64) (database.Watermark, error) {
	ctx, cancel := w.engine.budget.WithPart(ctx, max(w.patience-w.waited, minLookTime))
	defer cancel()
	return withHistory(ctx, w, func(ctx context.Context, history *database.History) (database.Watermark, error) {
		return w.seq.Watermark(ctx, w.st.driver, history, above)
	})
}

// lockedOut returns the transactions that prevent the flush from looking, or nil.
// If ctx has ended, it takes a little time of its own, unless the bus closes.
func (w *watch) lockedOut(ctx context.Context) (*entsignal.HeldBackError, error) {
	if w.engine.life.IsClosed() {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), w.engine.budget.Settle())
	defer cancel()
	lockers, err := budget.Ask(ctx, w.engine.budget, func(ctx context.Context) ([]database.Blocker, error) {
		return w.seq.Lockers(ctx, w.st.driver)
	})
	if err != nil || len(lockers) == 0 {
		return nil, err
	}
	return &entsignal.HeldBackError{Waited: w.waited, Blockers: blockers(lockers)}, nil
}

func blockers(holders []database.Blocker) (all []entsignal.Blocker) {
	for _, h := range holders {
		all = append(all, entsignal.Blocker(h))
	}
	return all
}

// withHistory runs a query that uses the history. If the query is abandoned, it
// keeps the history, because it may still use it.
func withHistory[R any](ctx context.Context, w *watch, query func(context.Context, *database.History) (R, error)) (R, error) {
	history := w.history
	w.history = nil
	found, err := budget.Ask(ctx, w.engine.budget, func(ctx context.Context) (R, error) { return query(ctx, history) })
	if !errors.Is(err, budget.ErrStuck) {
		w.history = history
	}
	return found, err
}

// withBlockers returns the error of a failed look. If ctx has ended, it adds the
// transactions that hold back the rows, as if ctx had ended between two looks.
func (w *watch) withBlockers(ctx context.Context, err error, low, target int64) error {
	if ctx.Err() == nil || w.history == nil || w.engine.life.IsClosed() || errors.As(err, new(*entsignal.HeldBackError)) {
		return err
	}
	held, heldErr := w.heldBack(ctx, low, target)
	if held == nil {
		return errors.Join(err, heldErr)
	}
	return errors.Join(ctx.Err(), held)
}

const (
	// The pause between two looks is a quarter of the time waited so far, within these
	// bounds. A look takes the server 0.14 ms.
	minLookPause = time.Millisecond
	maxLookPause = 50 * time.Millisecond
	// minLookTime is how long a look may take, however little patience is left, before the
	// flush asks which transactions block it.
	minLookTime = 500 * time.Millisecond
)

// wait waits a little for the transactions that hold back the rows above low and up
// to target. When the patience has run out, it returns them in an error.
func (w *watch) wait(ctx context.Context, low, target int64) error {
	if left := w.patience - w.waited; left > 0 {
		began := time.Now()
		goOn := w.engine.pause(ctx, min(left, max(minLookPause, min(w.waited/4, maxLookPause))))
		w.waited += time.Since(began)
		if goOn {
			return nil
		}
		if err := w.engine.stopped(ctx); errors.Is(err, entsignal.ErrClosed) {
			return err
		}
	}
	held, err := w.heldBack(ctx, low, target)
	switch {
	case err != nil:
		return errors.Join(ctx.Err(), err)
	case held == nil: // the transactions have just ended
		w.engine.pause(ctx, minLookPause)
		return w.engine.stopped(ctx)
	default:
		return errors.Join(ctx.Err(), held)
	}
}

// heldBack returns which rows wait for which transactions, or nil if none do. If
// ctx has ended, it takes a little time of its own.
func (w *watch) heldBack(ctx context.Context, low, target int64) (*entsignal.HeldBackError, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), w.engine.budget.Settle())
	defer cancel()
	held, err := withHistory(ctx, w, func(ctx context.Context, history *database.History) (database.Waiting, error) {
		return w.seq.Waiting(ctx, w.st.driver, history, low, target)
	})
	if err != nil {
		return nil, err
	}
	if held.Rows == 0 || len(held.By) == 0 {
		return nil, nil
	}
	return &entsignal.HeldBackError{Count: held.Rows, FirstID: w.IDText(held.First), LastID: w.IDText(held.Last), Waited: w.waited, Blockers: blockers(held.By)}, nil
}
