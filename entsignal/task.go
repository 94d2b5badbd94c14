package entsignal

import (
	"context"
	"errors"
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
func (t *task) flushListed(ctx context.Context) (int, error) {
	return t.flushRows(ctx, &listing{all: t.listed}, 1, 1)
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
	ahead := batchesAhead
	if t.st.TakesTurns() {
		ahead = 1
	}
	return t.flushRows(ctx, &walk{columns: t.columns(), top: top, read: t.read}, t.workers(), ahead)
}

// flushRows sends the rows of a source, in batches of which so many workers have
// so many under way.
func (t *task) flushRows(ctx context.Context, src source, workers, ahead int) (int, error) {
	var (
		fails   = failures{trial: trial{probeTime: t.bus.probeTime()}}
		batches sync.WaitGroup
		mu      sync.Mutex
		total   int

		underWay = make(chan struct{}, ahead*workers)
		sending  = make(chan struct{}, workers) // until a sender has returned, or called Published
	)
	deliver := func(ctx context.Context, sel selection) int {
		sel.refused = fails.refused
		d := t.batch(t.meta, sel)
		n, err := t.bus.deliverFor(ctx, t.st, t.signalType, d, false)
		mu.Lock()
		total += n
		mu.Unlock()
		if err != nil && !errors.Is(err, errStuck) { // then d isn't ours to ask
			src.again(d.undecided())
		}
		fails.add(n, err)
		return n
	}
	for {
		underWay <- struct{}{}
		sending <- struct{}{}
		if !fails.goOn() {
			break
		}
		if err := t.bus.stopped(ctx); err != nil {
			fails.stop(err)
			break
		}
		probe, works := fails.probing()
		var sel selection
		ok := false
		if !probe {
			sel, ok = src.next(func() int { return t.limit(ctx) }, works)
		}
		if ok {
			batches.Go(func() {
				defer func() { <-underWay }()
				published := sync.OnceFunc(func() { <-sending })
				defer published()
				deliver(withPublished(ctx, published), sel)
			})
			continue
		}
		<-sending
		<-underWay
		batches.Wait() // what is under way may tell more
		if !t.probe(ctx, src, &fails, probe, deliver) {
			break
		}
	}
	batches.Wait()
	return total, fails.err()
}

// probe looks elsewhere when the flush is to probe, or is at its end and has
// rows left on which it could not decide. It reports whether to go on.
func (t *task) probe(ctx context.Context, src source, fails *failures, asked bool, deliver func(context.Context, selection) int) bool {
	probe, works := fails.probing()
	switch {
	case !fails.goOn():
		return false
	case probe:
	case asked, works && src.undecided(): // something was sent meanwhile
		return true
	case !src.undecided():
		return false
	default:
		fails.doubt()
	}
	sel, found, err := src.probe(ctx)
	if err != nil {
		fails.stop(err)
		return false
	}
	if found && deliver(ctx, sel) > 0 {
		src.resume()
	}
	return found
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
