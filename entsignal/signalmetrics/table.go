package signalmetrics

import (
	"context"
	"sync"
	"time"

	"github.com/entsignal/signalbus/entsignal"
)

const (
	// atMost is where counting ends. A backlog of 10,001 or more needs a look, whatever
	// its size, and counting it must not add to its cause.
	atMost = 10001
	// After a read that took d the database is left alone for restFactor × d, within
	// these limits.
	leastRest   = time.Second
	longestRest = 30 * time.Second
	restFactor  = 20
	// keptFor is how long something is shown that can't be read anymore.
	keptFor = time.Minute
)

// source is the part of a bus that reads the database.
type source interface {
	Signals() []entsignal.Info
	Pending(ctx context.Context, opts ...entsignal.FlushOption) ([]entsignal.PendingCount, error)
	Oldest(ctx context.Context, opts ...entsignal.FlushOption) ([]entsignal.Oldest, error)
}

// table is what the database says of the pending signals.
type table struct {
	bus   source
	clock func() time.Time
	turn  chan struct{} // full while the database is read

	mu     sync.Mutex // guards the fields below
	next   time.Time  // when it may be read again
	counts map[string]found[entsignal.PendingCount]
	oldest map[string]found[entsignal.Oldest]
}

// found is what was read, and when.
type found[T any] struct {
	value T
	at    time.Time
}

func newTable(bus source, clock func() time.Time) *table {
	return &table{
		bus:    bus,
		clock:  clock,
		turn:   make(chan struct{}, 1),
		counts: make(map[string]found[entsignal.PendingCount]),
		oldest: make(map[string]found[entsignal.Oldest]),
	}
}

// read reads the database if it is time to, and returns the time. If another request
// reads it already, it waits for that. It ends with ctx.
func (t *table) read(ctx context.Context) time.Time {
	select {
	case t.turn <- struct{}{}:
		defer func() { <-t.turn }()
	case <-ctx.Done():
		return t.clock()
	}
	began := t.clock()
	if began.Before(t.due()) {
		return began
	}
	// An error says that some types are missing in what is returned.
	counts, _ := t.bus.Pending(ctx, entsignal.AtMost(atMost))
	oldest, _ := t.bus.Oldest(ctx)
	now := t.clock()
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, c := range counts {
		t.counts[c.Name] = found[entsignal.PendingCount]{c, now}
	}
	for _, o := range oldest {
		t.oldest[o.Signal] = found[entsignal.Oldest]{o, now}
	}
	t.next = now.Add(min(max(restFactor*now.Sub(began), leastRest), longestRest))
	return now
}

func (t *table) due() time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.next
}

// write writes what is known.
func (t *table) write(out *text, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	counts := func(name, help string, of func(entsignal.PendingCount) int) {
		out.family(name, gauge, help)
		for _, info := range t.bus.Signals() {
			if c, ok := t.counts[info.Name]; ok && now.Sub(c.at) < keptFor {
				out.sample(name, labels{{"signal", info.Name}}, int64(of(c.value)))
			}
		}
	}
	counts("entsignal_pending", "Pending signals, the dead ones too, counted up to 10001. All processes show the same.",
		func(c entsignal.PendingCount) int { return c.Count })
	counts("entsignal_dead", "Pending signals that failed for the last time, counted up to 10001. All processes show the same.",
		func(c entsignal.PendingCount) int { return c.Dead })
	const age = "entsignal_pending_age_seconds"
	out.family(age, gauge, "Age of the oldest pending signal that isn't dead: since it was recorded with mixin.Trace, else since this process first saw it; 0 if none is pending.")
	for _, info := range t.bus.Signals() {
		if o, ok := t.oldest[info.Name]; ok && now.Sub(o.at) < keptFor {
			out.seconds(age, labels{{"signal", info.Name}}, o.value.Age(now))
		}
	}
}
