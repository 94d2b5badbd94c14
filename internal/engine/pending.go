package engine

import (
	"context"
	"errors"
	"time"

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
	if n.Dead, err = t.pendingThat(ctx, retry.IsDead); err != nil {
		return n, err
	}
	n.Waiting, err = t.pendingThat(ctx, retry.IsWaiting(time.Now()))
	return n, err
}
