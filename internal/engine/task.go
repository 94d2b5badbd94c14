package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/sql"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/internal/budget"
	"github.com/entsignal/signalbus/internal/gather"
	"github.com/entsignal/signalbus/internal/option"
	"github.com/entsignal/signalbus/internal/probe"
)

// task is one signal type in one flush.
type task struct {
	*signalType
	mode    entsignal.Mode
	engine  *Engine
	st      store
	opts    option.Flush
	burst   burst
	batches atomic.Int64
	// What was pending when Flush began: the highest id, or all ids.
	listedTop any
	listed    []any

	// What came of the steps so far.
	sent int
	took time.Duration
	err  error
	done bool // nothing is left to do, or it has failed
}

func newTask(e *Engine, of *signalType, mode entsignal.Mode, st store, o option.Flush) *task {
	t := &task{signalType: of, engine: e, mode: mode, st: st, opts: o}
	t.burst.rows = of.info.BurstCount
	t.burst.grows = of.info.BurstGrows && mode != entsignal.ModeFlushOrdered
	if o.Burst > 0 {
		t.burst.rows, t.burst.grows = o.Burst, false
	}
	return t
}

// run runs one step of the flush, unless the task is done or the flush is to stop.
func (t *task) run(ctx context.Context, step func(*task, context.Context) (int, error)) {
	if t.done {
		return
	}
	if t.err = t.engine.stopped(ctx); t.err == nil {
		began := time.Now()
		var n int
		n, t.err = step(t, ctx)
		t.sent += n
		t.took += time.Since(began)
		if stopped := t.engine.stopped(ctx); t.err != nil && stopped != nil && !errors.Is(t.err, stopped) {
			t.err = errors.Join(t.err, stopped)
		}
	}
	t.done = t.done || t.err != nil
}

// listPage is how many ids one query lists.
const listPage = 10000

// list notes which signals are pending now. If the ids are whole numbers, those that are
// recorded later have higher ones, so the highest is enough, and a table of any size
// takes no memory. Other ids are listed.
func (t *task) list(ctx context.Context) (int, error) {
	top, err := t.top(ctx)
	if err != nil || top == nil {
		t.done = true
		return 0, err
	}
	if t.Columns().Counted {
		t.listedTop = top
		return 0, nil
	}
	var after any
	for {
		page, err := t.read(ctx, t.Columns().Due(after, top, listPage))
		if err != nil {
			return 0, err
		}
		t.listed = append(t.listed, page...)
		if len(page) < listPage {
			t.done = len(t.listed) == 0
			return 0, nil
		}
		after = page[len(page)-1]
	}
}

// manyBatches is after how many batches a burst of 1 is logged.
const manyBatches = 1000

// limit returns how many rows the next batch may have. While the way is blocked it
// is a single row, to find out whether the way is free again.
func (t *task) limit(ctx context.Context) int {
	burst := t.burst.size()
	if burst == 1 && !t.burst.grows && t.batches.Add(1) == manyBatches && t.engine.logged.first("burst of 1 "+t.info.Name) {
		t.engine.log.InfoContext(ctx, "a burst of 1 is slow for a backlog: set BurstCount in the schema, or WithBurstCount",
			slog.String("signal", t.info.Name), slog.Int("batches", manyBatches))
	}
	if t.breaker.Noticed() {
		return 1
	}
	return t.weight.limit(burst, t.engine.batchBytes)
}

// flushListed sends the listed signals that are still there.
func (t *task) flushListed(ctx context.Context) (int, error) {
	if t.listedTop != nil {
		return t.flushRows(ctx, &walk{columns: t.Columns(), top: t.listedTop, read: t.read}, 1, 1)
	}
	return t.flushRows(ctx, &listed{probe.NewListing(t.listed)}, 1, 1)
}

// workers returns how many batches to send at the same time. Where only one claim
// runs at a time it is one, because others would spend their time waiting.
func (t *task) workers() int {
	if t.st.Exclusive() {
		return 1
	}
	return t.opts.Workers
}

// flushWalk walks through the table, with several batches in progress if Workers is
// set.
func (t *task) flushWalk(ctx context.Context) (int, error) {
	top, err := t.top(ctx)
	if err != nil || top == nil {
		return 0, err
	}
	ahead := gather.Ahead
	if t.st.Exclusive() {
		ahead = 1
	}
	return t.flushRows(ctx, &walk{columns: t.Columns(), top: top, read: t.read}, t.workers(), ahead)
}

// read returns the ids of the rows that match.
func (t *task) read(ctx context.Context, match func(*sql.Selector)) ([]any, error) {
	ids, err := reading(ctx, t, func(ctx context.Context, drv dialect.Driver) ([]any, error) {
		return t.IDs(ctx, drv, match)
	})
	if err != nil {
		return nil, fmt.Errorf("list: %w", err)
	}
	return ids, nil
}

// pending returns the number of rows.
func (t *task) pending(ctx context.Context) (int, error) {
	return t.pendingThat(ctx, func(*sql.Selector) {})
}

// pendingThat returns the number of rows that match.
func (t *task) pendingThat(ctx context.Context, match func(*sql.Selector)) (int, error) {
	n, err := reading(ctx, t, func(ctx context.Context, drv dialect.Driver) (int, error) {
		return t.Count(ctx, drv, match, t.opts.AtMost)
	})
	if err != nil {
		return 0, fmt.Errorf("count: %w", err)
	}
	return n, nil
}

// reading runs read within the budget and returns its result.
func reading[R any](ctx context.Context, t *task, read func(context.Context, dialect.Driver) (R, error)) (R, error) {
	return budget.Ask(ctx, t.engine.budget, func(ctx context.Context) (found R, _ error) {
		err := t.st.Read(ctx, t.st.driver, func(drv dialect.Driver) (err error) {
			found, err = read(ctx, drv)
			return err
		})
		return found, err
	})
}

// top returns the highest id, or nil if there are no rows.
func (t *task) top(ctx context.Context) (any, error) {
	ids, err := t.read(ctx, t.Columns().Last())
	if err != nil || len(ids) == 0 {
		return nil, err
	}
	return ids[0], nil
}
