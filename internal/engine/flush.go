package engine

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/internal/budget"
	"github.com/entsignal/signalbus/internal/database"
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
	tasks, errs := e.tasks(ctx, chosen, mode, st, o)
	each := func(step func(*task, context.Context) (int, error)) {
		for _, t := range tasks {
			t.run(ctx, step)
		}
	}
	each((*task).check)
	e.leaveOutEmpty(ctx, st, mode, tasks)
	switch mode {
	case entsignal.ModeFlush:
		each((*task).list)
		if slices.ContainsFunc(tasks, func(t *task) bool { return !t.done }) {
			e.pause(ctx, o.FlushWait())
		}
		each((*task).flushListed)
	case entsignal.ModeFlushMany:
		each((*task).flushWalk)
	case entsignal.ModeFlushOrdered:
		each((*task).flushHead)
		for _, t := range tasks {
			if t.err == nil {
				t.orderTold.Store(true)
			}
		}
	}
	sent := 0
	for _, t := range tasks {
		sent += t.sent
		if t.err != nil {
			errs = append(errs, &entsignal.FlushError{Signal: t.info.Name, Err: t.err})
		}
		e.observe(ctx, entsignal.Flushed{Signal: t.info.Name, Mode: mode, Sent: t.sent, Took: t.took, Err: t.err})
	}
	if sent > 0 {
		level := slog.LevelInfo
		if ofLoop(ctx) { // which may have thousands of them a minute
			level = slog.LevelDebug
		}
		e.log.Log(ctx, level, "signals sent", "mode", mode.String(), "count", sent)
	}
	return sent, errors.Join(errs...)
}

const (
	// maxAsked is how many tables one query asks about.
	maxAsked = 100
	// askEmptyTime limits that query: a table that somebody has locked must not hold up
	// the flush of the others.
	askEmptyTime = 500 * time.Millisecond
)

// leaveOutEmpty ends the tasks whose tables are empty, with one query for all of them. It asks
// where the tasks themselves would need more than one: for several types, and for an ordered
// flush whose type has told whether its order is strict. If there is no answer, the tasks find
// out for themselves.
func (e *Engine) leaveOutEmpty(ctx context.Context, st store, mode entsignal.Mode, tasks []*task) {
	ordered := mode == entsignal.ModeFlushOrdered
	tasks = slices.DeleteFunc(slices.Clone(tasks), func(t *task) bool {
		return t.done || ordered && (!t.orderTold.Load() || t.opts.Workers > 1 && t.info.OrderKey == "") // the latter is an error
	})
	if len(tasks) == 0 || len(tasks) == 1 && !ordered {
		return
	}
	for some := range slices.Chunk(tasks, maxAsked) {
		tables := make([]database.Table, len(some))
		for i, t := range some {
			tables[i] = t.Table()
		}
		began := time.Now()
		ctx, cancel := e.budget.WithPart(ctx, askEmptyTime)
		empty, err := budget.Ask(ctx, e.budget, func(ctx context.Context) ([]bool, error) {
			return st.Empty(ctx, st.driver, tables)
		})
		cancel()
		if err != nil {
			return
		}
		for i, t := range some {
			t.done = empty[i]
			t.took += time.Since(began)
		}
	}
}

// tasks returns the tasks of a flush, and an error for each type that is named and has
// no sender.
func (e *Engine) tasks(ctx context.Context, chosen []*signalType, mode entsignal.Mode, st store, o option.Flush) (tasks []*task, errs []error) {
	for _, of := range chosen {
		switch {
		case of.HasSender():
			tasks = append(tasks, newTask(e, of, mode, st, o))
		case o.Only != nil:
			errs = append(errs, &entsignal.FlushError{Signal: of.info.Name, Err: entsignal.ErrNoSender})
		default:
			e.logNoSender(ctx, of.info.Name)
		}
	}
	return tasks, errs
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
