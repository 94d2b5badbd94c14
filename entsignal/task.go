package entsignal

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

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

	batches atomic.Int64
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
		page, err := t.read(ctx, t.columns().due(after, top, listPage))
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

// manyBatches is from when on a burst of 1 is pointed out.
const manyBatches = 1000

// limit returns how many rows the next batch may have: a single one while the
// way is blocked, to see whether it is free again.
func (t *task) limit(ctx context.Context) int {
	if t.burst == 1 && t.batches.Add(1) == manyBatches && t.bus.told.first("burst of 1 "+t.Name) {
		t.bus.log.InfoContext(ctx, "a burst of 1 makes a backlog slow: set BurstCount in the schema, or WithBurstCount",
			slog.String("signal", t.Name), slog.Int("batches", manyBatches))
	}
	if t.breaker.noticed() {
		return 1
	}
	return t.weight().limit(t.burst, t.bus.batchBytes)
}

// flushListed sends those of the listed signals that are still there.
func (t *task) flushListed(ctx context.Context) (sent int, _ error) {
	var fails failures
	for ids := t.listed; len(ids) > 0; {
		if err := t.bus.stopped(ctx); err != nil {
			fails.stop(err)
			break
		}
		size := min(t.limit(ctx), len(ids))
		n, err := t.bus.deliverFor(ctx, t.st, t.signalType, t.batch(t.meta, selection{ids: ids[:size]}), false)
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

// workers returns how many batches to send side by side. Where claims take
// turns it is one: others would spend the time of their batch on the wait.
func (t *task) workers() int {
	if t.st.TakesTurns() {
		return 1
	}
	return t.opts.workers
}

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

		workers, ahead = t.workers(), batchesAhead
	)
	if t.st.TakesTurns() {
		ahead = 1
	}
	var (
		underWay = make(chan struct{}, ahead*workers)
		sending  = make(chan struct{}, workers) // until a sender has returned, or called Published
	)
	for {
		underWay <- struct{}{}
		sending <- struct{}{}
		if !fails.goOn() || w.ended.Load() {
			break
		}
		if err := t.bus.stopped(ctx); err != nil {
			fails.stop(err)
			break
		}
		batches.Go(func() {
			defer func() { <-underWay }()
			published := sync.OnceFunc(func() { <-sending })
			defer published()
			d := t.batch(t.meta, selection{pick: w.step(func() int { return t.limit(ctx) })})
			n, err := t.bus.deliverFor(withPublished(ctx, published), t.st, t.signalType, d, false)
			mu.Lock()
			total += n
			mu.Unlock()
			fails.add(n, err)
		})
	}
	batches.Wait()
	return total, fails.err()
}

// read returns the ids of the rows that match.
func (t *task) read(ctx context.Context, match func(*sql.Selector)) ([]any, error) {
	ids, err := reading(ctx, t, func(ctx context.Context, drv dialect.Driver) ([]any, error) {
		return t.Signal.ids(ctx, drv, match)
	})
	if err != nil {
		return nil, fmt.Errorf("list: %w", err)
	}
	return ids, nil
}

// pending returns how many rows there are.
func (t *task) pending(ctx context.Context) (int, error) {
	return t.pendingThat(ctx, func(*sql.Selector) {})
}

// pendingThat returns how many rows match.
func (t *task) pendingThat(ctx context.Context, match func(*sql.Selector)) (int, error) {
	n, err := reading(ctx, t, func(ctx context.Context, drv dialect.Driver) (int, error) { return t.count(ctx, drv, match) })
	if err != nil {
		return 0, fmt.Errorf("count: %w", err)
	}
	return n, nil
}

// reading runs read within its bounds and returns what it has read.
func reading[R any](ctx context.Context, t *task, read func(context.Context, dialect.Driver) (R, error)) (R, error) {
	return ask(ctx, t.bus, func(ctx context.Context) (found R, _ error) {
		err := t.st.Read(ctx, t.st.driver, func(drv dialect.Driver) (err error) {
			found, err = read(ctx, drv)
			return err
		})
		return found, err
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
