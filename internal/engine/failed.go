package engine

import (
	"context"
	"fmt"

	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/sql"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/internal/option"
	"github.com/entsignal/signalbus/internal/retry"
)

// Failed lists the signals that failed to be sent.
func (e *Engine) Failed(ctx context.Context, o option.Flush) ([]entsignal.FailedSignal, error) {
	return survey(e, o, func(t *task) ([]entsignal.FailedSignal, error) {
		switch {
		case t.Retry() != nil:
			return t.listFailed(ctx)
		case o.Only != nil:
			return nil, entsignal.ErrNoRetry
		default:
			return nil, nil
		}
	})
}

// listFailed returns the failed rows.
func (t *task) listFailed(ctx context.Context) (all []entsignal.FailedSignal, _ error) {
	var after any
	for {
		type page struct {
			failed []entsignal.FailedSignal
			last   any
		}
		p, err := reading(ctx, t, func(ctx context.Context, drv dialect.Driver) (p page, err error) {
			p.failed, p.last, err = t.failed(ctx, drv, t.Columns().Span(after, nil, repairPage))
			return p, err
		})
		if err != nil {
			return all, fmt.Errorf("list: %w", err)
		}
		all = append(all, p.failed...)
		if len(p.failed) < repairPage {
			return all, nil
		}
		after = p.last
	}
}

// failed returns the failed rows among those that match, and the id of the last
// one.
func (t *signalType) failed(ctx context.Context, drv dialect.Driver, match func(*sql.Selector)) (all []entsignal.FailedSignal, last any, _ error) {
	rows, err := t.States(ctx, drv, func(s *sql.Selector) {
		match(s)
		retry.HasFailed(s)
	})
	for _, row := range rows {
		last = row.ID
		all = append(all, row.Retry.Failed(t.info.Name, t.IDText(last)))
	}
	return all, last, err
}
