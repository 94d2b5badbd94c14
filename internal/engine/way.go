package engine

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/internal/breaker"
	"github.com/entsignal/signalbus/internal/budget"
	"github.com/entsignal/signalbus/internal/database"
)

// noteBatch passes the result of a batch to the breaker of its type, and a change to
// the observers.
func (e *Engine) noteBatch(ctx context.Context, d *batch, w breaker.Way, took time.Duration, err error) {
	news, since := d.signal.breaker.Note(time.Now(), w, took)
	switch {
	case !news:
	case w == breaker.Free:
		e.observe(ctx, entsignal.Resumed{Signal: d.signal.info.Name, After: time.Since(since)})
	default:
		e.observe(ctx, entsignal.Paused{Signal: d.signal.info.Name, Err: err})
	}
}

// noteNothingWaits is called when a type has no signal that waits. Others have sent what an
// outage had kept, and no batch of this process would ever tell that it is over.
func (e *Engine) noteNothingWaits(ctx context.Context, t *signalType) {
	news, since := t.breaker.Forget(time.Now())
	if !news {
		return
	}
	e.log.InfoContext(ctx, "no signal waits any longer for the broker or the database, which were unavailable", slog.String("signal", t.info.Name))
	e.tell(ctx, entsignal.Resumed{Signal: t.info.Name, After: time.Since(since)})
}

// wayOf returns what a batch shows about the way of the messages, if n of its
// signals were sent. ctx is the batch's.
func wayOf(ctx context.Context, d *batch, n int, err error) breaker.Way {
	switch {
	case entsignal.IsUnavailable(err):
		return breaker.Blocked
	case errors.Is(err, budget.ErrStuck): // the claim still owns its batch
		return breaker.Silent
	case d.called && (n > 0 || ctx.Err() == nil): // sent, or refused by a broker that is there
		return breaker.Free
	case d.called:
		return breaker.Silent
	case ctx.Err() == nil && database.IsUnavailable(err):
		return breaker.Blocked
	default:
		return breaker.Unknown
	}
}
