package engine

import (
	"context"
	"errors"
	"slices"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/internal/option"
)

// Flush runs the flush of a mode.
func (e *Engine) Flush(ctx context.Context, mode entsignal.Mode, o option.Flush) (int, error) {
	chosen, err := e.choose(o)
	if err != nil {
		return 0, err
	}
	ctx, st, done, err := e.begin(ctx)
	if err != nil {
		return 0, err
	}
	defer done()
	var (
		errs  []error
		tasks []*task
	)
	for _, chosen := range chosen {
		t := &task{signalType: chosen, mode: mode, engine: e, st: st, opts: o, burst: chosen.info.BurstCount}
		if o.Burst > 0 {
			t.burst = o.Burst
		}
		switch {
		case t.HasSender():
			tasks = append(tasks, t)
		case o.Only != nil:
			errs = append(errs, &entsignal.FlushError{Signal: t.info.Name, Err: entsignal.ErrNoSender})
		default:
			e.logNoSender(ctx, t.info.Name)
		}
	}
	sent := 0
	each := func(step func(*task, context.Context) (int, error)) {
		var left []*task
		for _, t := range tasks {
			stopped := e.stopped(ctx)
			if stopped != nil {
				errs = append(errs, &entsignal.FlushError{Signal: t.info.Name, Err: stopped})
				continue
			}
			n, err := step(t, ctx)
			sent += n
			if err != nil {
				if stopped = e.stopped(ctx); stopped != nil && !errors.Is(err, stopped) {
					err = errors.Join(err, stopped)
				}
				errs = append(errs, &entsignal.FlushError{Signal: t.info.Name, Err: err})
				continue
			}
			left = append(left, t)
		}
		tasks = left
	}
	each((*task).check)
	switch mode {
	case entsignal.ModeFlush:
		each((*task).list)
		tasks = slices.DeleteFunc(tasks, func(t *task) bool { return len(t.listed) == 0 })
		if len(tasks) > 0 {
			e.pause(ctx, o.FlushWait())
		}
		each((*task).flushListed)
	case entsignal.ModeFlushMany:
		each((*task).flushWalk)
	case entsignal.ModeFlushOrdered:
		each((*task).flushHead)
	}
	if sent > 0 {
		e.log.InfoContext(ctx, "signals sent", "mode", mode.String(), "count", sent)
	}
	return sent, errors.Join(errs...)
}

// choose returns the signals that the options name.
func (e *Engine) choose(o option.Flush) ([]*signalType, error) {
	for _, name := range slices.Concat(o.Only, o.Exclude) {
		if _, err := e.find(name); err != nil {
			return nil, err
		}
	}
	var chosen []*signalType
	for _, t := range e.types {
		if (o.Only == nil || slices.Contains(o.Only, t.info.Name)) && !slices.Contains(o.Exclude, t.info.Name) {
			chosen = append(chosen, t)
		}
	}
	return chosen, nil
}

// logNoSender logs once that a signal has no sender.
func (e *Engine) logNoSender(ctx context.Context, name string) {
	if e.logged.first("no sender " + name) {
		e.log.WarnContext(ctx, "signal has no sender, its rows stay pending", "signal", name)
	}
}
