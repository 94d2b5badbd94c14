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
	return b.flush(ctx, ModeFlush, opts, busOptions)
}

// FlushMany sends a backlog of any size. It walks once through each table,
// from the lowest id to the highest that was there at the call. Any number of
// processes may do so at once: they share the work, and no row is sent twice.
// Rows that others hold are left to them. It keeps no order.
//
// It returns what [Bus.Flush] returns, and treats errors alike. Options:
// Only, Exclude, Workers, Burst.
func (b *Bus) FlushMany(ctx context.Context, opts ...FlushOption) (int, error) {
	return b.flush(ctx, ModeFlushMany, opts, busOptions)
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
	return b.flush(ctx, ModeFlushOrdered, opts, busOptions)
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
	Signal
	meta  Batch
	st    store
	opts  flushOptions
	burst int
	ids   []any // what a Flush listed
}

// flush runs one call of a flush method.
func (b *Bus) flush(ctx context.Context, mode Mode, opts []FlushOption, more []string, names ...string) (int, error) {
	o, err := parseOptions(flushMethod(mode), opts, slices.Concat(more, modeOptions(mode))...)
	if err != nil {
		return 0, err
	}
	if names != nil {
		o.only = names
	}
	chosen, err := b.choose(o)
	if err != nil {
		return 0, err
	}
	if err := b.life.enter(); err != nil {
		return 0, err
	}
	defer b.life.leave()
	st, err := b.store()
	if err != nil {
		return 0, err
	}

	ctx, after := b.following(ctx, st)
	defer after()
	var (
		errs  []error
		tasks []*task
	)
	for _, i := range chosen {
		t := &task{Signal: b.signals[i], meta: Batch{Signal: b.infos[i], Mode: mode}, st: st, opts: o, burst: b.infos[i].BurstCount}
		if o.burst > 0 {
			t.burst = o.burst
		}
		if !t.sendable() {
			if o.only != nil {
				errs = append(errs, &FlushError{Signal: t.meta.Signal.Name, Err: ErrNoSender})
			} else {
				b.tellMissing(ctx, t.meta.Signal.Name)
			}
			continue
		}
		tasks = append(tasks, t)
	}
	sent := 0
	each := func(step func(context.Context, *task) (int, error)) {
		var left []*task
		for _, t := range tasks {
			n, err := step(ctx, t)
			sent += n
			if err != nil {
				errs = append(errs, &FlushError{Signal: t.meta.Signal.Name, Err: err})
				continue
			}
			left = append(left, t)
		}
		tasks = left
	}
	switch mode {
	case ModeFlush:
		each(b.list)
		if slices.ContainsFunc(tasks, func(t *task) bool { return len(t.ids) > 0 }) {
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

// choose returns the indexes of the signals that the options name.
func (b *Bus) choose(o flushOptions) ([]int, error) {
	named := make(map[int]bool)
	for _, name := range o.only {
		i, err := b.find(name)
		if err != nil {
			return nil, err
		}
		named[i] = true
	}
	excluded := make(map[int]bool)
	for _, name := range o.exclude {
		i, err := b.find(name)
		if err != nil {
			return nil, err
		}
		excluded[i] = true
	}
	var chosen []int
	for i := range b.signals {
		if (o.only == nil || named[i]) && !excluded[i] {
			chosen = append(chosen, i)
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
		t.ids = append(t.ids, page...)
		if len(page) < listPage {
			return 0, nil
		}
		after = page[len(page)-1]
	}
}

// flushListed sends those of the listed signals that are still there.
func (b *Bus) flushListed(ctx context.Context, t *task) (sent int, _ error) {
	var fails failures
	for ids := range slices.Chunk(t.ids, t.burst) {
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
			for fails.goOn() && !w.ended() {
				if err := b.stopped(ctx); err != nil {
					fails.add(0, err)
					return
				}
				n, err := b.deliver(ctx, t.st, t.batch(t.meta, selection{walk: w.step()}), false)
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
	for sent < pending {
		if err := b.stopped(ctx); err != nil {
			return sent, err
		}
		limit := min(t.burst, pending-sent)
		d := t.batch(t.meta, selection{walk: func(read reader) error {
			_, err := read(t.columns().head(limit))
			return err
		}})
		n, err := b.deliverInTurn(ctx, t, d)
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

// deliverInTurn delivers d when no other ordered flush of its type runs.
func (b *Bus) deliverInTurn(ctx context.Context, t *task, d batch) (int, error) {
	wait, cancel := ctx, context.CancelFunc(func() {})
	if t.opts.wait != nil {
		wait, cancel = context.WithTimeout(ctx, *t.opts.wait)
	}
	defer cancel()
	busy := false
	for pause := minTurnPause; ; pause = min(2*pause, maxTurnPause) {
		n, err := b.deliver(ctx, t.st, d, true)
		switch {
		case errors.Is(err, ErrBusy):
			busy = true
		case busy && ctx.Err() != nil && !d.started(): // ended in the middle of a try
			return n, errors.Join(ErrBusy, err)
		default:
			return n, err
		}
		if !b.pause(wait, pause) {
			return n, errors.Join(ErrBusy, b.stopped(ctx))
		}
	}
}

// read returns the ids of the rows that match.
func (t *task) read(ctx context.Context, match func(*sql.Selector)) (ids []any, err error) {
	err = t.st.Read(ctx, t.st.driver, func(drv dialect.Driver) (err error) {
		ids, err = t.Signal.ids(ctx, drv, match)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list: %w", err)
	}
	return ids, nil
}

// top returns the highest id, or nil if there are no rows.
func (t *task) top(ctx context.Context) (any, error) {
	ids, err := t.read(ctx, t.columns().last())
	if err != nil || len(ids) == 0 {
		return nil, err
	}
	return ids[0], nil
}

// pending returns how many rows there are.
func (t *task) pending(ctx context.Context) (n int, err error) {
	err = t.st.Read(ctx, t.st.driver, func(drv dialect.Driver) (err error) {
		n, err = t.count(ctx, drv)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("count: %w", err)
	}
	return n, nil
}

func orDefault(d *time.Duration, otherwise time.Duration) time.Duration {
	if d == nil {
		return otherwise
	}
	return *d
}
