package engine

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/entsignal/signalbus/internal/foreign"
)

const (
	// purgeSoon is when at the latest a relay purges the inboxes for the first time, and
	// purgeEvery how long it then rests. Keys are kept for days.
	purgeSoon  = 10 * time.Second
	purgeEvery = time.Hour
)

// keepPurging purges the inboxes now and then until ctx ends. Relays that began together
// don't purge together.
func (e *Engine) keepPurging(ctx context.Context) {
	if e.client.Inboxes == nil {
		return
	}
	failed := false
	for rest := rand.N(purgeSoon); e.pause(ctx, rest); rest = purgeEvery - rand.N(purgeEvery/5) {
		n, err := foreign.Call(func() (int, error) { return e.Purge(ctx) })
		switch {
		case e.stopped(ctx) != nil:
			return
		case err != nil && !failed:
			e.log.ErrorContext(ctx, "relay: purging the inboxes failed, it will try again", slog.Any("error", err))
		case n > 0:
			e.log.DebugContext(ctx, "relay: inboxes purged", slog.Int("keys", n))
		}
		failed = err != nil
	}
}
