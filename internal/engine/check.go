package engine

import (
	"context"
	"log/slog"

	"github.com/entsignal/signalbus/internal/budget"
	"github.com/entsignal/signalbus/internal/database"
)

// check returns why nothing of a table may be claimed: the database can't be asked,
// or the server or the table would lose or duplicate messages. It also logs, once,
// which settings don't suit a bus.
func (e *Engine) check(ctx context.Context, st store, table database.Table) error {
	misfits, err := st.Check(ctx, st.driver, table, e.budget.Total())
	for _, m := range misfits {
		if e.logged.first("misfit " + m.Setting + " " + m.Value) {
			e.log.WarnContext(ctx, m.Effect, slog.String("setting", m.Setting), slog.String("value", m.Value), slog.String("flush_timeout", e.budget.Total().String()))
		}
	}
	return err
}

// check is the first step of a flush.
func (t *task) check(ctx context.Context) (int, error) {
	return budget.Ask(ctx, t.engine.budget, func(ctx context.Context) (int, error) { return 0, t.engine.check(ctx, t.st, t.Table()) })
}
