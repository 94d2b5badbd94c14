package engine

import (
	"context"
	"fmt"

	"entgo.io/ent/dialect"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/internal/budget"
	"github.com/entsignal/signalbus/internal/database"
	"github.com/entsignal/signalbus/internal/table"
)

// Show returns one pending signal as its entity.
func (e *Engine) Show(ctx context.Context, name, id string) (any, error) {
	t, err := e.find(name)
	if err != nil {
		return nil, err
	}
	st, err := e.store()
	if err != nil {
		return nil, err
	}
	stored, err := e.findID(ctx, t, id)
	if err != nil {
		return nil, &entsignal.InvalidIDError{Signal: name, ID: id, Err: err}
	}
	rows, err := reading(st.detach(ctx), &task{signalType: t, engine: e, st: st}, func(ctx context.Context, drv dialect.Driver) (table.Rows, error) {
		return t.Load(ctx, drv, t.Columns().Listed(drv, []any{stored}))
	})
	switch {
	case err != nil:
		return nil, &entsignal.FlushError{Signal: name, Err: fmt.Errorf("read: %w", err)}
	case len(rows.IDs()) == 0:
		return nil, entsignal.ErrNoSignal
	default:
		return rows.Entity(0), nil
	}
}

// Ping returns nil if the database of the bus answers.
func (e *Engine) Ping(ctx context.Context) error {
	st, err := e.store()
	if err != nil {
		return err
	}
	_, err = budget.Ask(st.detach(ctx), e.budget, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, st.Read(ctx, st.driver, func(drv dialect.Driver) error { return database.Ping(ctx, drv) })
	})
	return err
}
