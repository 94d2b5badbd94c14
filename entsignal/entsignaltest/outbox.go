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
	"github.com/entsignal/signalbus/internal/backoff"
)

// Outbox records what the senders of [Senders] have sent. It is safe for concurrent
// use, also by parallel subtests. A subtest sets its own t with [Outbox.For].
type Outbox struct {
	t testing.TB
	*state
}

// state is shared by all views of an outbox.
type state struct {
	senders reflect.Type // the generated SignalSenders
	timeout time.Duration
	lanes   []*lane

	mu      sync.Mutex // guards what follows, and what is in the lanes
	buses   []*entsignal.Bus
	sent    []message // in order, of all types
	failed  []message // the first signals that were not sent
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

// For returns the same outbox for another test, such as a subtest. Failures with it
// fail that test.
func (o *Outbox) For(t testing.TB) *Outbox { return &Outbox{t, o.state} }

// Option returns an option for the generated NewSignalBus that makes the bus known
// to the outbox. [Outbox.Drain] needs it. With it, failed assertions show what is
// pending, and the bus is closed at the end of the test. One outbox may have
// several buses.
func (o *Outbox) Option() entsignal.BusOption {
	return entsignal.WithSetup(func(b *entsignal.Bus) error {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.buses = append(o.buses, b)
		return nil
	})
}

// close closes the buses, because their work must not outlast the test.
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

// Reset deletes the record of what was sent. The faults stay.
func (o *Outbox) Reset() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.sent, o.failed = nil, nil
	o.notify()
}

// notify wakes all goroutines that wait for a change. The caller holds the lock.
func (s *state) notify() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// await calls done after each change. It returns true when done does, and false
// after the timeout.
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

// Drain sends everything that is pending, types with an order in their order, until
// nothing is left that may be sent. That includes signals that senders record in
// the meantime, and signals that other transactions lock and release. It returns
// the error of a failed flush, or an error that lists the signals that are left
// because they wait for their next attempt or are dead. Make those due with
// [entsignal.Bus.RetryAll]. Drain ends when ctx ends.
//
// The outbox must know its bus through [Outbox.Option]; otherwise the test fails.
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
	pauses := backoff.Doubling{Min: 5 * time.Millisecond, Max: 100 * time.Millisecond}
	idle := 0
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
			idle = 0
			continue
		}
		// The rest is locked by a running autoflush or an open transaction.
		if !backoff.Wait(ctx, pauses.Pause(idle), nil) {
			return fmt.Errorf("entsignaltest: drain: %s still pending, locked by other transactions: %w", strings.Join(due, ", "), ctx.Err())
		}
		idle++
	}
}

// dueTypes returns the types with signals that may be sent.
func dueTypes(counts []entsignal.PendingCount) (names []string) {
	for _, c := range counts {
		if c.Due() > 0 {
			names = append(names, c.Name)
		}
	}
	return names
}

// notDue returns an error that lists what is left, or nil.
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

// flushOnce flushes the types and returns how many signals were sent.
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
