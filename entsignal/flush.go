package entsignal

import (
	"context"
	"errors"
	"slices"
	"time"
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
// When ctx ends, or the bus closes, it begins nothing else; a batch whose sender
// was called is finished first, within the time of [WithFlushTimeout], whatever
// becomes of ctx. If something may be left it returns ctx's error or [ErrClosed].
//
// A signal type that fails doesn't keep the others from being flushed; the
// error joins a [*FlushError] for each. Signals that fail stay pending and the
// next burst is tried; an error that wraps [Unavailable] ends a type. After three
// bursts in a row of which nothing was sent, single signals from other places are
// tried: if one is sent the flush goes on where it was, and if none of them is, it
// gives the type up after about a hundred calls of the sender. Signals that wait for their next
// attempt, or that are parked (see mixin.Retry), are left out. Options: Only,
// Exclude, Wait, Burst.
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
// sends what was pending at the call, or as many signals. One FlushOrdered of a
// signal type runs at a time; another waits (see [Wait]; by default until ctx
// ends) and then returns [ErrBusy]. It stops a type at its first failure: what
// comes before the signal at fault is sent, and nothing behind it. A signal that
// waits for its next attempt, or that is parked (see mixin.Retry), stops it with
// a [*BlockedError].
//
// A transaction that is open may commit a lower id than those that are
// pending. On PostgreSQL, a signal that is sent by its id waits for such
// transactions, which stops no writer, and for at most the time of [HoldBack];
// then the signal's error is a [*HeldBackError]. Where the order is not that
// strict, the first call logs a warning with the reason; see [Bus.CheckOrder].
//
// The order holds if nothing else sends the signals of the type: turn their
// autoflush off, and don't use Flush and FlushMany on them.
//
// With [OrderKey] all this is about the signals of one key. Keys are sent side
// by side by as many [Workers] as the option says, also of several processes,
// and one that fails, or that is busy, keeps no other. Options: Only, Exclude,
// Wait, HoldBack, Workers, Burst, SkipDead.
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
	case ModeFlushOrdered:
		return []string{"Wait", "HoldBack", "Workers", "Burst", "SkipDead"}
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
	each := func(step func(*task, context.Context) (int, error)) {
		var left []*task
		for _, t := range tasks {
			stopped := b.stopped(ctx)
			if stopped != nil {
				errs = append(errs, &FlushError{Signal: t.Name, Err: stopped})
				continue
			}
			n, err := step(t, ctx)
			sent += n
			if err != nil {
				if stopped = b.stopped(ctx); stopped != nil && !errors.Is(err, stopped) {
					err = errors.Join(err, stopped)
				}
				errs = append(errs, &FlushError{Signal: t.Name, Err: err})
				continue
			}
			left = append(left, t)
		}
		tasks = left
	}
	each((*task).check)
	switch mode {
	case ModeFlush:
		each((*task).list)
		tasks = slices.DeleteFunc(tasks, func(t *task) bool { return len(t.listed) == 0 })
		if len(tasks) > 0 {
			b.pause(ctx, orDefault(o.wait, defaultWait))
		}
		each((*task).flushListed)
	case ModeFlushMany:
		each((*task).flushWalk)
	case ModeFlushOrdered:
		each((*task).flushHead)
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

func orDefault(d *time.Duration, otherwise time.Duration) time.Duration {
	if d == nil {
		return otherwise
	}
	return *d
}
