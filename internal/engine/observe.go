package engine

import (
	"context"
	"log/slog"
	"time"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/internal/database"
	"github.com/entsignal/signalbus/internal/foreign"
)

// observe tells the log and the observers. An event that comes with each batch or
// commit is made only if there are observers: see observed.
func (e *Engine) observe(ctx context.Context, event entsignal.Event) {
	e.logEvent(ctx, event)
	if !e.observed() {
		return
	}
	ctx = context.WithoutCancel(ctx)
	for _, tell := range e.observers {
		if p := foreign.Do(func() { tell(ctx, event) }); p != nil && e.logged.first("observer panicked") {
			e.logFailure(ctx, "an observer has panicked; this is logged once", p)
		}
	}
}

// observed reports whether there are observers.
func (e *Engine) observed() bool { return len(e.observers) > 0 }

// logEvent logs the events that a log shows.
func (e *Engine) logEvent(ctx context.Context, event entsignal.Event) {
	switch v := event.(type) {
	case entsignal.Paused:
		e.log.WarnContext(ctx, "broker or database is away, signals stay pending", slog.String("signal", v.Signal), slog.Any("error", v.Err))
	case entsignal.Resumed:
		e.log.InfoContext(ctx, "broker and database are back, signals are sent again", slog.String("signal", v.Signal),
			slog.String("away_for", v.After.Round(time.Millisecond).String()))
	}
}

// observeRecorded tells of the signals of a commit.
func (e *Engine) observeRecorded(ctx context.Context, created []Created) {
	if !e.observed() {
		return
	}
	for _, group := range byType(created) {
		e.observe(ctx, entsignal.Recorded{Signal: group.name, Count: len(group.ids)})
	}
}

// observeBatch tells what became of a batch, of which n signals were sent. The batch
// is not the caller's if its claim is stuck.
func (e *Engine) observeBatch(ctx context.Context, d *batch, n int, took time.Duration, err error, stuck bool) {
	if !e.observed() {
		return
	}
	name := d.signal.info.Name
	if n > 0 {
		e.observe(ctx, entsignal.Sent{Signal: name, Mode: d.mode, Count: n, Took: took})
	}
	if err == nil {
		return
	}
	failed := entsignal.Failed{Signal: name, Mode: d.mode, Err: err}
	if stuck {
		e.observe(ctx, failed)
		return
	}
	failed.Count = d.failedCount()
	e.observe(ctx, failed)
	if ids, why := d.died(); len(ids) > 0 && !database.IsNotNoted(err) {
		e.observe(ctx, entsignal.Dead{Signal: name, IDs: ids, Err: why})
	}
}
