package entsignal

import (
	"context"
	"log/slog"

	dbdialect "github.com/entsignal/signalbus/entsignal/internal/dialect"
)

// tellMisfits logs, before the first claim, which settings of the database
// don't fit a bus.
//
// What can't be read now is left for the next batch: the claim that follows
// tells what is wrong with the database, unless the time is up.
func (b *Bus) tellMisfits(ctx context.Context, st store) error {
	if b.misfitsTold.Load() {
		return nil
	}
	misfits, err := ask(ctx, b, func(ctx context.Context) ([]dbdialect.Misfit, error) {
		return st.Misfits(ctx, st.driver, b.timeout)
	})
	if err != nil || !b.misfitsTold.CompareAndSwap(false, true) {
		return err
	}
	for _, m := range misfits {
		b.log.WarnContext(ctx, m.Effect, slog.String("setting", m.Setting), slog.String("value", m.Value), slog.String("flush_timeout", b.timeout.String()))
	}
	return nil
}
