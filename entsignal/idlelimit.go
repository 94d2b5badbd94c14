package entsignal

import (
	"context"
	"log/slog"

	dbdialect "github.com/entsignal/signalbus/entsignal/internal/dialect"
)

// checkIdleLimit logs, before the first claim, if the server ends idle
// transactions sooner than a batch may take. Each claim whose sender takes
// longer than that ends after the messages are out, and so repeats them, again
// and again.
//
// What can't be read now is left for the next batch: the claim that follows
// tells what is wrong with the database, unless the time is up.
func (b *Bus) checkIdleLimit(ctx context.Context, st store) error {
	if b.idleChecked.Load() {
		return nil
	}
	var limit dbdialect.IdleLimit
	_, err := b.within(ctx, func() (_ int, err error) {
		found, err := st.IdleLimit(ctx, st.driver)
		if err == nil {
			limit = found
		}
		return 0, err
	})
	if err != nil || !b.idleChecked.CompareAndSwap(false, true) {
		return err
	}
	if limit.After > 0 && limit.After < b.timeout {
		b.log.WarnContext(ctx, "the server ends idle transactions sooner than a batch may take; what is sent then will be sent again",
			slog.String("setting", limit.Setting), slog.String("limit", limit.After.String()), slog.String("flush_timeout", b.timeout.String()))
	}
	return nil
}
