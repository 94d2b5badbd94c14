package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"entgo.io/ent/dialect"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/internal/option"
	"github.com/entsignal/signalbus/internal/retry"
)

// Pending counts the pending signals.
func (e *Engine) Pending(ctx context.Context, o option.Flush) ([]entsignal.PendingCount, error) {
	return survey(e, o, func(t *task) ([]entsignal.PendingCount, error) {
		n, err := t.countPending(ctx)
		return []entsignal.PendingCount{n}, err
	})
}

// survey asks each type that the options select. If one can't be asked, the error
// joins an [*entsignal.FlushError] for it, and the results of the others are
// returned.
func survey[R any](e *Engine, o option.Flush, ask func(*task) ([]R, error)) ([]R, error) {
	chosen, err := e.choose(o)
	if err != nil {
		return nil, err
	}
	st, err := e.store()
	if err != nil {
		return nil, err
	}
	all := []R{}
	var errs []error
	for _, chosen := range chosen {
		answers, err := ask(&task{signalType: chosen, engine: e, st: st, opts: o})
		if err != nil {
			errs = append(errs, &entsignal.FlushError{Signal: chosen.info.Name, Err: err})
			continue
		}
		all = append(all, answers...)
	}
	return all, errors.Join(errs...)
}

func (t *task) countPending(ctx context.Context) (n entsignal.PendingCount, err error) {
	n.Name = t.info.Name
	if n.Count, err = t.pending(ctx); err != nil || n.Count == 0 || t.Retry() == nil {
		return n, err
	}
	now := time.Now()
	type held struct{ dead, waiting int }
	// One look at the table finds both, unless there are so many of one kind that the other may be
	// behind them.
	both, err := reading(ctx, t, func(ctx context.Context, drv dialect.Driver) (h held, err error) {
		h.dead, h.waiting, err = t.CountHeld(ctx, drv, now, t.opts.AtMost)
		return h, err
	})
	if err != nil {
		return n, fmt.Errorf("count: %w", err)
	}
	n.Dead, n.Waiting = both.dead, both.waiting
	if most := t.opts.AtMost; most == 0 || n.Dead+n.Waiting < most {
		return n, nil
	}
	if n.Dead, err = t.pendingThat(ctx, retry.IsDead); err != nil {
		return n, err
	}
	n.Waiting, err = t.pendingThat(ctx, retry.IsWaiting(now))
	return n, err
}
