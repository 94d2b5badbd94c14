package engine

import (
	"context"
	"errors"
	"fmt"

	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/sql"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/internal/option"
	"github.com/entsignal/signalbus/internal/retry"
	"github.com/entsignal/signalbus/internal/table"
)

// Failed lists the signals that failed to be sent.
func (e *Engine) Failed(ctx context.Context, o option.Flush) ([]entsignal.FailedSignal, error) {
	if o.After != nil && len(o.Only) != 1 {
		return nil, errors.New("entsignal: Failed: After goes with Only and the name of one signal")
	}
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

// listFailed returns the failed rows that the options select.
func (t *task) listFailed(ctx context.Context) (all []entsignal.FailedSignal, _ error) {
	var after any
	if t.opts.After != nil {
		var err error
		if after, err = t.engine.findID(ctx, t.signalType, *t.opts.After); err != nil {
			return nil, &entsignal.InvalidIDError{Signal: t.info.Name, ID: *t.opts.After, Err: err}
		}
	}
	for {
		type page struct {
			failed []entsignal.FailedSignal
			last   any
		}
		size := repairPage
		if t.opts.AtMost > 0 {
			size = min(size, t.opts.AtMost-len(all))
		}
		p, err := reading(ctx, t, func(ctx context.Context, drv dialect.Driver) (p page, err error) {
			p.failed, p.last, err = t.failed(ctx, drv, func(s *sql.Selector) {
				t.Columns().Span(after, nil, size)(s)
				retry.HasError(t.opts.ErrorText)(s)
			})
			return p, err
		})
		if err != nil {
			return all, fmt.Errorf("list: %w", err)
		}
		all = append(all, p.failed...)
		if len(p.failed) < size || len(all) == t.opts.AtMost {
			return all, nil
		}
		after = p.last
	}
}

// Lookup returns what is recorded of the failures of one signal.
func (e *Engine) Lookup(ctx context.Context, name, id string) (entsignal.FailedSignal, error) {
	return e.lookup(ctx, name, func(t *signalType) (func(*sql.Selector), error) {
		stored, err := e.findID(ctx, t, id)
		if err != nil {
			return nil, &entsignal.InvalidIDError{Signal: name, ID: id, Err: err}
		}
		return t.Columns().Listed(nil, []any{stored}), nil
	})
}

// First returns what is recorded of the signal that is the first in its order.
func (e *Engine) First(ctx context.Context, name string) (entsignal.FailedSignal, error) {
	return e.lookup(ctx, name, func(t *signalType) (func(*sql.Selector), error) { return t.Columns().Head(1), nil })
}

// lookup returns what is recorded of the first row that matches.
func (e *Engine) lookup(ctx context.Context, name string, match func(*signalType) (func(*sql.Selector), error)) (none entsignal.FailedSignal, _ error) {
	t, err := e.find(name)
	if err != nil {
		return none, err
	}
	st, err := e.store()
	if err != nil {
		return none, err
	}
	that, err := match(t)
	if err != nil {
		return none, err
	}
	rows, err := reading(st.detach(ctx), &task{signalType: t, engine: e, st: st}, func(ctx context.Context, drv dialect.Driver) ([]table.RowState, error) {
		return t.States(ctx, drv, that)
	})
	switch {
	case err != nil:
		return none, &entsignal.FlushError{Signal: name, Err: fmt.Errorf("read: %w", err)}
	case len(rows) == 0:
		return none, entsignal.ErrNoSignal
	default:
		return rows[0].Retry.Failed(name, t.IDText(rows[0].ID)), nil
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
