package entsignal

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/sql"
)

// task is one signal type in one flush.
type task struct {
	signalType
	meta   Batch
	bus    *Bus
	st     store
	opts   flushOptions
	burst  int
	listed []any // the ids that a Flush listed
}

// listPage is how many ids one query lists.
const listPage = 10000

// list notes the ids that are pending now.
func (t *task) list(ctx context.Context) (int, error) {
	top, err := t.top(ctx)
	if err != nil || top == nil {
		return 0, err
	}
	var after any
	for {
		page, err := t.read(ctx, t.columns().span(after, top, listPage))
		if err != nil {
			return 0, err
		}
		t.listed = append(t.listed, page...)
		if len(page) < listPage {
			return 0, nil
		}
		after = page[len(page)-1]
	}
}

// limit returns how many rows the next batch may have: a single one while the
// way is blocked, to see whether it is free again.
func (t *task) limit() int {
	if t.outage.on() {
		return 1
	}
	return t.burst
}

// flushListed sends those of the listed signals that are still there.
func (t *task) flushListed(ctx context.Context) (sent int, _ error) {
	var fails failures
	for ids := t.listed; len(ids) > 0; {
		if err := t.bus.stopped(ctx); err != nil {
			fails.add(0, err)
			break
		}
		size := min(t.limit(), len(ids))
		n, err := t.bus.deliver(ctx, t.st, t.signalType, t.batch(t.meta, selection{ids: ids[:size]}), false)
		sent += n
		if !fails.add(n, err) {
			break
		}
		ids = ids[size:]
	}
	return sent, fails.err()
}

// batchesAhead is how many batches a worker may have under way: one of which
// the broker's answer is awaited, and one that is claimed and sent meanwhile.
const batchesAhead = 2

// flushWalk walks through the table, with several batches under way if asked
// to.
func (t *task) flushWalk(ctx context.Context) (int, error) {
	top, err := t.top(ctx)
	if err != nil || top == nil {
		return 0, err
	}
	var (
		w       = walk{columns: t.columns(), top: top}
		fails   failures
		batches sync.WaitGroup
		mu      sync.Mutex
		total   int

		underWay = make(chan struct{}, batchesAhead*t.opts.workers)
		sending  = make(chan struct{}, t.opts.workers) // until a sender has returned, or called Published
	)
	for {
		underWay <- struct{}{}
		sending <- struct{}{}
		if !fails.goOn() || w.ended.Load() {
			break
		}
		if err := t.bus.stopped(ctx); err != nil {
			fails.add(0, err)
			break
		}
		batches.Go(func() {
			defer func() { <-underWay }()
			published := sync.OnceFunc(func() { <-sending })
			defer published()
			d := t.batch(t.meta, selection{pick: w.step(t.limit())})
			n, err := t.bus.deliver(withPublished(ctx, published), t.st, t.signalType, d, false)
			mu.Lock()
			total += n
			mu.Unlock()
			fails.add(n, err)
		})
	}
	batches.Wait()
	return total, fails.err()
}

// flushHead sends the first signals in their order, again and again.
func (t *task) flushHead(ctx context.Context) (sent int, err error) {
	pending, err := t.pending(ctx)
	if err != nil {
		return 0, err
	}
	wait := turnWait{ctx: ctx}
	if t.opts.wait != nil {
		var cancel context.CancelFunc
		wait.ctx, cancel = context.WithTimeout(ctx, *t.opts.wait)
		defer cancel()
	}
	for sent < pending {
		if err := t.bus.stopped(ctx); err != nil {
			return sent, err
		}
		limit := min(t.limit(), pending-sent)
		d := t.batch(t.meta, selection{pick: func(_ dialect.Driver, read reader) error {
			_, err := read(t.columns().head(limit))
			return err
		}})
		n, err := t.deliverInTurn(ctx, &wait, d)
		sent += n
		if err != nil {
			return sent, err
		}
		if d.fetched() < limit {
			break
		}
	}
	return sent, nil
}

const (
	// The pauses between two tries to get the turn of an ordered flush.
	minTurnPause = 5 * time.Millisecond
	maxTurnPause = 100 * time.Millisecond
)

// A turnWait is the patience of one ordered flush of a type with the others.
type turnWait struct {
	ctx    context.Context // ends when the first turn has to be here
	hadOne bool
}

// deliverInTurn delivers d when no other ordered flush of its type runs. The
// turn is given up after each batch; a flush that had it once waits for it
// until ctx ends, because the other is done sooner or later.
func (t *task) deliverInTurn(ctx context.Context, wait *turnWait, d batch) (int, error) {
	busy := false
	for pause := minTurnPause; ; pause = min(2*pause, maxTurnPause) {
		n, err := t.bus.deliver(ctx, t.st, t.signalType, d, true)
		switch {
		case errors.Is(err, ErrBusy):
			busy = true
		case busy && ctx.Err() != nil && !errors.Is(err, errStuck) && !d.started(): // ended in the middle of a try
			return n, errors.Join(ErrBusy, err)
		default:
			wait.hadOne = true
			return n, err
		}
		until := wait.ctx
		if wait.hadOne {
			until = ctx
		}
		if !t.bus.pause(until, pause) {
			return n, errors.Join(ErrBusy, t.bus.stopped(ctx))
		}
	}
}

// read returns the ids of the rows that match.
func (t *task) read(ctx context.Context, match func(*sql.Selector)) ([]any, error) {
	var ids []any
	_, err := t.reading(ctx, func(drv dialect.Driver) (_ int, err error) {
		ids, err = t.Signal.ids(ctx, drv, match)
		return len(ids), err
	})
	if err != nil {
		return nil, fmt.Errorf("list: %w", err)
	}
	return ids, nil
}

// pending returns how many rows there are.
func (t *task) pending(ctx context.Context) (int, error) {
	n, err := t.reading(ctx, func(drv dialect.Driver) (int, error) { return t.count(ctx, drv) })
	if err != nil {
		return 0, fmt.Errorf("count: %w", err)
	}
	return n, nil
}

// reading runs read, and leaves it behind if it doesn't end with ctx.
func (t *task) reading(ctx context.Context, read func(dialect.Driver) (int, error)) (int, error) {
	return t.bus.within(ctx, func() (n int, err error) {
		err = t.st.Read(ctx, t.st.driver, func(drv dialect.Driver) (err error) {
			n, err = read(drv)
			return err
		})
		return n, err
	})
}

// top returns the highest id, or nil if there are no rows.
func (t *task) top(ctx context.Context) (any, error) {
	ids, err := t.read(ctx, t.columns().last())
	if err != nil || len(ids) == 0 {
		return nil, err
	}
	return ids[0], nil
}
