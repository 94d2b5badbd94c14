package entsignal

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"entgo.io/ent/dialect"

	"github.com/entsignal/signalbus/internal/database"
)

// sequence is what an ordered flush needs of the sequence that ids are drawn
// from: to see up to which id the table is complete, and who is to blame if
// that isn't far enough.
type sequence interface {
	Look(ctx context.Context, drv dialect.Driver, m *database.Marks, above int64) (database.Sight, error)
	Held(ctx context.Context, drv dialect.Driver, m *database.Marks, low, top int64) (database.Held, error)
	// Lockers returns who keeps Look from reading.
	Lockers(ctx context.Context, drv dialect.Driver) ([]database.Holder, error)
	String() string
}

// flushStrict sends the rows that are there, each as soon as no transaction
// can commit one with a lower id anymore. It waits for such transactions and
// stops no writer.
func (t *task) flushStrict(ctx context.Context, seq sequence, send orderedSend) (sent int, err error) {
	w := watch{task: t, seq: seq, marks: t.takeMarks(), patience: orDefault(t.opts.holdBack, defaultHoldBack)}
	done := int64(math.MinInt64) // what is to be sent up to here was sent
	sight, err := w.look(ctx, done)
	if err != nil {
		return 0, err
	}
	defer func() {
		if w.marks != nil {
			t.marks.Store(w.marks)
		}
	}()
	target, foreign := min(sight.Last, sight.Top), sight // foreign: what wasn't drawn from the sequence
	for sight.Rows && sight.Bottom <= target {
		if safe := min(sight.Low, target); sight.Bottom <= safe {
			n, err := send(ctx, safe)
			sent += n
			if err != nil {
				return sent, err
			}
			done = safe
		}
		if sight.Low >= target {
			break
		}
		if err := w.wait(ctx, sight.Low, target); err != nil {
			return sent, err
		}
		low := sight.Low
		if sight, err = w.look(ctx, done); err != nil {
			return sent, w.cutShort(ctx, err, low, target)
		}
		target = min(target, sight.Last) // it was set back
	}
	if !foreign.Rows || foreign.Top <= foreign.Last {
		return sent, nil
	}
	t.bus.tellNotStrict(ctx, t.Name, foreignIDs(seq, foreign))
	n, err := send(ctx, foreign.Top)
	return sent + n, err
}

// foreignIDs tells why the order of what was seen isn't strict.
func foreignIDs(seq sequence, s database.Sight) string {
	return fmt.Sprintf("there are ids up to %d, which were not drawn from the sequence %s; such signals are sent after the others", s.Top, seq)
}

// takeMarks returns what the last ordered flush of the signal has seen, which
// is then forgotten: two flushes at once don't share it.
func (t signalType) takeMarks() *database.Marks {
	if m := t.marks.Swap(nil); m != nil {
		return m
	}
	return &database.Marks{}
}

// watch is one strict flush's look at the transactions that are open.
type watch struct {
	*task
	seq      sequence
	marks    *database.Marks // nil while a query may still use them
	patience time.Duration
	waited   time.Duration
}

// look looks at the open transactions, and at the rows above an id. A TRUNCATE,
// an ALTER TABLE or an ALTER SEQUENCE that isn't committed keeps it from that,
// and is waited for like any other transaction.
func (w *watch) look(ctx context.Context, above int64) (database.Sight, error) {
	for began := time.Now(); ; {
		asked := time.Now()
		sight, err := w.lookOnce(ctx, above)
		if err == nil || w.marks == nil || ctx.Err() == nil && !errors.Is(err, context.DeadlineExceeded) {
			return sight, err
		}
		w.waited += time.Since(asked)
		held, heldErr := w.lockedOut(ctx)
		switch {
		case ctx.Err() != nil && held != nil:
			return sight, errors.Join(w.bus.stopped(ctx), held)
		case ctx.Err() != nil:
			return sight, err
		case heldErr != nil:
			return sight, errors.Join(err, heldErr)
		case held != nil && w.waited >= w.patience:
			return sight, held
		case held == nil && time.Since(began) > w.bus.workTime():
			return sight, err
		}
	}
}

// lookOnce looks for as long as the patience lasts.
func (w *watch) lookOnce(ctx context.Context, above int64) (database.Sight, error) {
	ctx, cancel := w.bus.withTime(ctx, max(w.patience-w.waited, minLookTime))
	defer cancel()
	return withMarks(ctx, w, func(ctx context.Context, marks *database.Marks) (database.Sight, error) {
		return w.seq.Look(ctx, w.st.driver, marks, above)
	})
}

// lockedOut returns who keeps a flush from looking, or nil if nobody does. It
// has a little time of its own when ctx has ended, unless the bus closes.
func (w *watch) lockedOut(ctx context.Context) (*HeldBackError, error) {
	if w.bus.life.isClosed() {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), w.bus.settleTime())
	defer cancel()
	lockers, err := ask(ctx, w.bus, func(ctx context.Context) ([]database.Holder, error) {
		return w.seq.Lockers(ctx, w.st.driver)
	})
	if err != nil || len(lockers) == 0 {
		return nil, err
	}
	return &HeldBackError{Waited: w.waited, Blockers: blockers(lockers)}, nil
}

func blockers(holders []database.Holder) (all []Blocker) {
	for _, h := range holders {
		all = append(all, Blocker(h))
	}
	return all
}

// withMarks runs a query that uses the marks. If it is left behind they stay
// its own: it may still use them.
func withMarks[R any](ctx context.Context, w *watch, query func(context.Context, *database.Marks) (R, error)) (R, error) {
	marks := w.marks
	w.marks = nil
	found, err := ask(ctx, w.bus, func(ctx context.Context) (R, error) { return query(ctx, marks) })
	if !errors.Is(err, errStuck) {
		w.marks = marks
	}
	return found, err
}

// cutShort returns the error of a look that has failed. If that is because ctx
// has ended, it tells who holds the rows back, as when it ends between two looks.
func (w *watch) cutShort(ctx context.Context, err error, low, target int64) error {
	if ctx.Err() == nil || w.marks == nil || w.bus.life.isClosed() || errors.As(err, new(*HeldBackError)) {
		return err
	}
	held, heldErr := w.heldBack(ctx, low, target)
	if held == nil {
		return errors.Join(err, heldErr)
	}
	return errors.Join(ctx.Err(), held)
}

const (
	// The pauses between two looks are a quarter of the time that was waited,
	// within these bounds. A look costs the server 0.14 ms.
	minLookPause = time.Millisecond
	maxLookPause = 50 * time.Millisecond
	// minLookTime is how long a look may take before the flush asks who keeps it
	// from looking, however little patience there is.
	minLookTime = 500 * time.Millisecond
)

// wait waits a little for the transactions that hold back the rows above low
// and up to target. When the patience has run out it returns what they are.
func (w *watch) wait(ctx context.Context, low, target int64) error {
	if left := w.patience - w.waited; left > 0 {
		began := time.Now()
		goOn := w.bus.pause(ctx, min(left, max(minLookPause, min(w.waited/4, maxLookPause))))
		w.waited += time.Since(began)
		if goOn {
			return nil
		}
		if err := w.bus.stopped(ctx); errors.Is(err, ErrClosed) {
			return err
		}
	}
	held, err := w.heldBack(ctx, low, target)
	switch {
	case err != nil:
		return errors.Join(ctx.Err(), err)
	case held == nil: // they have just ended
		w.bus.pause(ctx, minLookPause)
		return w.bus.stopped(ctx)
	default:
		return errors.Join(ctx.Err(), held)
	}
}

// heldBack returns what waits for whom. It returns nil if nothing does. It
// has a little time of its own when ctx has ended.
func (w *watch) heldBack(ctx context.Context, low, target int64) (*HeldBackError, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), w.bus.settleTime())
	defer cancel()
	held, err := withMarks(ctx, w, func(ctx context.Context, marks *database.Marks) (database.Held, error) {
		return w.seq.Held(ctx, w.st.driver, marks, low, target)
	})
	if err != nil {
		return nil, err
	}
	if held.Rows == 0 || len(held.By) == 0 {
		return nil, nil
	}
	return &HeldBackError{Count: held.Rows, FirstID: w.textOf(held.First), LastID: w.textOf(held.Last), Waited: w.waited, Blockers: blockers(held.By)}, nil
}
