package entsignaltest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/entsignal/signalbus/entsignal"
)

// Outbox keeps what the senders of [Senders] have sent. It may be used by several
// goroutines and by parallel subtests; a subtest gives it its own t by
// [Outbox.For].
type Outbox struct {
	t testing.TB
	*state
}

// state is what all views of an outbox share.
type state struct {
	senders reflect.Type // the generated SignalSenders
	timeout time.Duration
	lanes   []*lane

	mu      sync.Mutex // guards what follows, and what is in the lanes
	buses   []*entsignal.Bus
	sent    []message // in order, of all types
	failed  []message // the first of those that were not sent
	batches int
	changed chan struct{} // closed and replaced at each change
}

// A message is one signal that a sender was called with.
type message struct {
	lane   *lane
	signal any
	id     string // of the row; empty if no bus has called the sender
	batch  int
	meta   entsignal.Batch
	err    error // what the sender has reported of it
}

func newOutbox(t testing.TB, senders reflect.Type, opts []Option) *Outbox {
	s := &state{senders: senders, timeout: 10 * time.Second, changed: make(chan struct{})}
	for _, opt := range opts {
		opt(s)
	}
	o := &Outbox{t, s}
	t.Cleanup(func() { o.close(t) })
	return o
}

func (s *state) add(name string, signal reflect.Type) *lane {
	l := &lane{o: s, name: name, signal: signal}
	s.lanes = append(s.lanes, l)
	return l
}

// For returns the same outbox for another test, such as a subtest: what fails
// with it fails that test.
func (o *Outbox) For(t testing.TB) *Outbox { return &Outbox{t, o.state} }

// Option returns the option of the generated NewSignalBus by which the outbox
// knows its bus: [Outbox.Drain] needs it, failed assertions tell what is pending,
// and the bus is closed when the test is over. One outbox may have several buses.
func (o *Outbox) Option() entsignal.BusOption {
	return entsignal.WithSetup(func(b *entsignal.Bus) error {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.buses = append(o.buses, b)
		return nil
	})
}

// close closes the buses: what they do must not outlast the test.
func (o *Outbox) close(t testing.TB) {
	ctx, cancel := context.WithTimeout(context.Background(), o.timeout)
	defer cancel()
	for _, bus := range o.busList() {
		if err := bus.Close(ctx); err != nil {
			t.Errorf("entsignaltest: close the bus at the end of the test: %v", err)
		}
	}
}

func (s *state) busList() []*entsignal.Bus {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.buses)
}

// Reset forgets what was sent. The faults stay.
func (o *Outbox) Reset() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.sent, o.failed = nil, nil
	o.notify()
}

// notify wakes those who wait for a change. The caller has the lock.
func (s *state) notify() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// await returns true when done does, which it asks after each change, and false
// when the timeout is over.
func (s *state) await(done func() bool) bool {
	limit := time.NewTimer(s.timeout)
	defer limit.Stop()
	for {
		s.mu.Lock()
		changed := s.changed
		s.mu.Unlock()
		if done() {
			return true
		}
		select {
		case <-changed:
		case <-limit.C:
			return done()
		}
	}
}

// Drain sends all that is pending, signals with an order in their order, until
// nothing is left that may be sent: also what senders record meanwhile, and what
// other transactions hold and give back. It returns the error of a flush that
// failed, and one that names the signals that are left because they have failed
// and wait for their next attempt, or are dead: [entsignal.Bus.RetryAll] makes
// them due. The end of ctx ends it.
//
// The outbox must know its bus by [Outbox.Option]; else the test fails.
func (o *Outbox) Drain(ctx context.Context) error {
	o.t.Helper()
	buses := o.busList()
	if len(buses) == 0 {
		o.t.Fatalf("entsignaltest: Drain: the outbox knows no bus; make the bus with ent.NewSignalBus(senders, outbox.Option())")
	}
	for _, bus := range buses {
		if err := drain(ctx, bus); err != nil {
			return err
		}
	}
	return nil
}

func drain(ctx context.Context, bus *entsignal.Bus) error {
	const shortest, longest = 5 * time.Millisecond, 100 * time.Millisecond
	pause := shortest
	for {
		counts, err := bus.Pending(ctx)
		if err != nil {
			return err
		}
		due := dueTypes(counts)
		if len(due) == 0 {
			return notDue(counts)
		}
		sent, err := flushOnce(ctx, bus, due)
		if err != nil {
			return err
		}
		if sent > 0 {
			pause = shortest
			continue
		}
		// Others hold what is due: an autoflush that runs, or an open transaction.
		select {
		case <-time.After(pause):
			pause = min(2*pause, longest)
		case <-ctx.Done():
			return fmt.Errorf("entsignaltest: drain: %s still pending, held by others: %w", strings.Join(due, ", "), ctx.Err())
		}
	}
}

// dueTypes names the types that have signals which may be sent.
func dueTypes(counts []entsignal.PendingCount) (names []string) {
	for _, c := range counts {
		if c.Due() > 0 {
			names = append(names, c.Name)
		}
	}
	return names
}

// notDue returns an error that names what is left, or nil.
func notDue(counts []entsignal.PendingCount) error {
	var left []string
	for _, c := range counts {
		if c.Count > 0 {
			left = append(left, pendingText(c))
		}
	}
	if left == nil {
		return nil
	}
	return fmt.Errorf("entsignaltest: drain: still pending: %s; Bus.RetryAll makes them due", strings.Join(left, "; "))
}

// flushOnce flushes the types, and returns how many signals were sent.
func flushOnce(ctx context.Context, bus *entsignal.Bus, names []string) (int, error) {
	var ordered, others []string
	for _, s := range bus.Signals() {
		switch {
		case !slices.Contains(names, s.Name):
		case len(s.OrderBy) > 0 || s.OrderKey != "":
			ordered = append(ordered, s.Name)
		default:
			others = append(others, s.Name)
		}
	}
	first, err := bus.FlushMany(ctx, entsignal.Only(others...))
	second, errOrdered := bus.FlushOrdered(ctx, entsignal.Only(ordered...))
	return first + second, errors.Join(err, errOrdered)
}
