package entsignal

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/sql"
)

// Flush sends the signals that were pending when it was called: it lists
// them, waits (see [Wait]; 3 seconds by default) so that running autoflushes
// can finish, and sends those that are still there, in bursts, in the order
// of their ids. It returns how many signals were sent and deleted.
//
// Use it to send what autoflushes left behind. For a large backlog
// [Bus.FlushMany] is the better choice; where the order matters,
// [Bus.FlushOrdered] is the only one.
//
// A signal type that fails doesn't keep the others from being flushed; the
// error joins a [*FlushError] for each. A burst that fails stays pending and
// the next is tried; an error that wraps [Unavailable], or three bursts in a
// row of which nothing was sent, end a type. Options: Only, Exclude, Wait,
// Burst.
func (b *Bus) Flush(ctx context.Context, opts ...FlushOption) (int, error) {
	return b.flush(ctx, ModeFlush, opts, busOptions, nil)
}

// FlushMany sends a backlog of any size. It walks once through each table,
// from the lowest id to the highest that was there at the call. Any number of
// processes may do so at once: they share the work, and no row is sent twice.
// Rows that others hold are left to them. It keeps no order.
//
// It returns what [Bus.Flush] returns, and treats errors alike. Options:
// Only, Exclude, Workers, Burst.
func (b *Bus) FlushMany(ctx context.Context, opts ...FlushOption) (int, error) {
	return b.flush(ctx, ModeFlushMany, opts, busOptions, nil)
}

// FlushOrdered sends in the order of OrderBy, which the id always ends; it
// sends as many signals as were pending at the call. One FlushOrdered of a
// signal type runs at a time; another waits (see [Wait]; by default until ctx
// ends) and then returns [ErrBusy]. It stops a type at its first failure.
//
// The order holds if nothing else sends the signals of the type: turn their
// autoflush off, and don't use Flush and FlushMany on them. Options: Only,
// Exclude, Wait, Burst.
func (b *Bus) FlushOrdered(ctx context.Context, opts ...FlushOption) (int, error) {
	return b.flush(ctx, ModeFlushOrdered, opts, busOptions, nil)
}

// busOptions are the options that every method of a bus uses, and those of a
// generated client don't.
var busOptions = []string{"Only", "Exclude"}

// modeOptions returns the options that only some flushes use.
func modeOptions(mode Mode) []string {
	switch mode {
	case ModeFlushMany:
		return []string{"Workers", "Burst"}
	default:
		return []string{"Wait", "Burst"}
	}
}

// flushMethod is the name of the method behind a mode.
func flushMethod(mode Mode) string {
	switch mode {
	case ModeFlushMany:
		return "FlushMany"
	case ModeFlushOrdered:
		return "FlushOrdered"
	default:
		return "Flush"
	}
}

// task is one signal type in one flush.
type task struct {
	signalType
	meta  Batch
	bus   *Bus
	st    store
	opts  flushOptions
	burst int
	list  []any // the ids that a Flush listed
}

// flush runs one call of a flush method. only are the signals of a caller that
// has no option for it.
func (b *Bus) flush(ctx context.Context, mode Mode, opts []FlushOption, more, only []string) (int, error) {
	o, err := parseOptions(flushMethod(mode), opts, slices.Concat(more, modeOptions(mode))...)
	if err != nil {
		return 0, err
	}
	if only != nil {
		o.only = only
	}
	chosen, err := b.choose(o)
	if err != nil {
		return 0, err
	}
	ctx, st, done, err := b.begin(ctx)
	if err != nil {
		return 0, err
	}
	defer done()
	var (
		errs  []error
		tasks []*task
	)
	for _, chosen := range chosen {
		t := &task{signalType: chosen, meta: Batch{Signal: chosen.Info, Mode: mode}, bus: b, st: st, opts: o, burst: chosen.BurstCount}
		if o.burst > 0 {
			t.burst = o.burst
		}
		switch {
		case t.sendable():
			tasks = append(tasks, t)
		case o.only != nil:
			errs = append(errs, &FlushError{Signal: t.Name, Err: ErrNoSender})
		default:
			b.tellMissing(ctx, t.Name)
		}
	}
	sent := 0
	each := func(step func(context.Context, *task) (int, error)) {
		var left []*task
		for _, t := range tasks {
			n, err := step(ctx, t)
			sent += n
			if err != nil {
				errs = append(errs, &FlushError{Signal: t.Name, Err: err})
				continue
			}
			left = append(left, t)
		}
		tasks = left
	}
	switch mode {
	case ModeFlush:
		each(b.list)
		if slices.ContainsFunc(tasks, func(t *task) bool { return len(t.list) > 0 }) {
			b.pause(ctx, orDefault(o.wait, defaultWait))
		}
		each(b.flushListed)
	case ModeFlushMany:
		each(b.flushWalk)
	case ModeFlushOrdered:
		each(b.flushHead)
	}
	if sent > 0 {
		b.log.InfoContext(ctx, "signals sent", "mode", mode.String(), "count", sent)
	}
	return sent, errors.Join(errs...)
}

// choose returns the signals that the options name.
func (b *Bus) choose(o flushOptions) ([]signalType, error) {
	for _, name := range slices.Concat(o.only, o.exclude) {
		if _, err := b.find(name); err != nil {
			return nil, err
		}
	}
	var chosen []signalType
	for _, t := range b.types {
		if (o.only == nil || slices.Contains(o.only, t.Name)) && !slices.Contains(o.exclude, t.Name) {
			chosen = append(chosen, t)
		}
	}
	return chosen, nil
}

// tellMissing says once that a signal has no sender.
func (b *Bus) tellMissing(ctx context.Context, name string) {
	if b.told.first("no sender " + name) {
		b.log.WarnContext(ctx, "signal has no sender, its rows stay pending", "signal", name)
	}
}

// listPage is how many ids one query lists.
const listPage = 10000

// list notes the ids that are pending now.
func (b *Bus) list(ctx context.Context, t *task) (int, error) {
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
		t.list = append(t.list, page...)
		if len(page) < listPage {
			return 0, nil
		}
		after = page[len(page)-1]
	}
}

// flushListed sends those of the listed signals that are still there.
func (b *Bus) flushListed(ctx context.Context, t *task) (sent int, _ error) {
	var fails failures
	for ids := range slices.Chunk(t.list, t.burst) {
		if err := b.stopped(ctx); err != nil {
			fails.add(0, err)
			break
		}
		n, err := b.deliver(ctx, t.st, t.batch(t.meta, selection{ids: ids}), false)
		sent += n
		if !fails.add(n, err) {
			break
		}
	}
	return sent, fails.err()
}

// flushWalk walks through the table, with several workers if asked to.
func (b *Bus) flushWalk(ctx context.Context, t *task) (int, error) {
	top, err := t.top(ctx)
	if err != nil || top == nil {
		return 0, err
	}
	var (
		w       = walk{columns: t.columns(), top: top, limit: t.burst}
		fails   failures
		workers sync.WaitGroup
		mu      sync.Mutex
		total   int
	)
	for range t.opts.workers {
		workers.Go(func() {
			for fails.goOn() && !w.ended.Load() {
				if err := b.stopped(ctx); err != nil {
					fails.add(0, err)
					return
				}
				n, err := b.deliver(ctx, t.st, t.batch(t.meta, selection{pick: w.step()}), false)
				mu.Lock()
				total += n
				mu.Unlock()
				fails.add(n, err)
			}
		})
	}
	workers.Wait()
	return total, fails.err()
}

// flushHead sends the first signals in their order, again and again.
func (b *Bus) flushHead(ctx context.Context, t *task) (sent int, err error) {
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
		if err := b.stopped(ctx); err != nil {
			return sent, err
		}
		limit := min(t.burst, pending-sent)
		d := t.batch(t.meta, selection{pick: func(read reader) error {
			_, err := read(t.columns().head(limit))
			return err
		}})
		n, err := b.deliverInTurn(ctx, t, &wait, d)
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
func (b *Bus) deliverInTurn(ctx context.Context, t *task, wait *turnWait, d batch) (int, error) {
	busy := false
	for pause := minTurnPause; ; pause = min(2*pause, maxTurnPause) {
		n, err := b.deliver(ctx, t.st, d, true)
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
		if !b.pause(until, pause) {
			return n, errors.Join(ErrBusy, b.stopped(ctx))
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

func orDefault(d *time.Duration, otherwise time.Duration) time.Duration {
	if d == nil {
		return otherwise
	}
	return *d
}
