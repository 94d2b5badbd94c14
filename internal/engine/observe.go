package engine

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/internal/database"
	"github.com/entsignal/signalbus/internal/foreign"
)

// observe passes an event to the log and the observers. Events that occur for each
// batch or commit are made only if there are observers; see observed.
func (e *Engine) observe(ctx context.Context, event entsignal.Event) {
	e.logEvent(ctx, event)
	e.tell(ctx, event)
}

// tell passes an event to the observers.
func (e *Engine) tell(ctx context.Context, event entsignal.Event) {
	if !e.observed() {
		return
	}
	ctx = context.WithoutCancel(ctx)
	for _, o := range e.observers.all() {
		if p := foreign.Do(func() { o.observe(ctx, event) }); p != nil && e.logged.first("observer panicked") {
			e.logFailure(ctx, "an observer has panicked; this is logged once", p)
		}
	}
}

// observed reports whether there are observers.
func (e *Engine) observed() bool { return len(e.observers.all()) > 0 }

// AddObserver adds an observer.
func (e *Engine) AddObserver(observe func(ctx context.Context, event any)) (remove func()) {
	return e.observers.add(observe)
}

// observers are the observers of a bus. Each event asks for them, so that takes no
// lock.
type observers struct {
	list atomic.Pointer[[]*observer]
	mu   sync.Mutex // guards changes
}

type observer struct {
	observe func(ctx context.Context, event any)
}

func (o *observers) all() []*observer {
	if list := o.list.Load(); list != nil {
		return *list
	}
	return nil
}

func (o *observers) add(observe func(ctx context.Context, event any)) (remove func()) {
	added := &observer{observe}
	o.mu.Lock()
	defer o.mu.Unlock()
	list := append(slices.Clone(o.all()), added)
	o.list.Store(&list)
	return func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		list := slices.DeleteFunc(slices.Clone(o.all()), func(other *observer) bool { return other == added })
		o.list.Store(&list)
	}
}

// logEvent logs the events that a log shows.
func (e *Engine) logEvent(ctx context.Context, event entsignal.Event) {
	switch v := event.(type) {
	case entsignal.Paused:
		e.log.WarnContext(ctx, "broker or database is unavailable, signals stay pending", slog.String("signal", v.Signal), slog.Any("error", v.Err))
	case entsignal.Resumed:
		e.log.InfoContext(ctx, "broker and database are available again, sending continues", slog.String("signal", v.Signal),
			slog.String("away_for", v.After.Round(time.Millisecond).String()))
	}
}

// observeRecorded makes the events of a commit.
func (e *Engine) observeRecorded(ctx context.Context, groups []typeGroup) {
	if !e.observed() {
		return
	}
	for _, group := range groups {
		e.observe(ctx, entsignal.Recorded{Signal: group.name, Count: len(group.ids)})
	}
}

// observeBatch makes the events of a batch of which n signals were sent. If its
// claim is stuck, the batch still belongs to the claim.
func (e *Engine) observeBatch(ctx context.Context, d *batch, n int, took time.Duration, err error, stuck bool) {
	if !e.observed() {
		return
	}
	name := d.signal.info.Name
	if n > 0 {
		e.observe(ctx, entsignal.Sent{Signal: name, Mode: d.mode, Count: n, Took: took, Lag: d.lag(time.Now())})
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
