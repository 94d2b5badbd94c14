package entsignaltest

import (
	"fmt"
	"reflect"
	"slices"

	"github.com/entsignal/signalbus/entsignal"
)

// Sent returns the signals of type T that were sent, in order: all, or those for
// which each match reports true. A signal that was sent twice is there twice.
func Sent[T any](o *Outbox, match ...func(T) bool) []T {
	o.t.Helper()
	l := laneOf[T](o)
	if l == nil {
		return nil
	}
	return sentOf(l, match)
}

// One returns the one signal of type T that was sent, of those for which each
// match reports true. If there is none, or more than one, the test ends with a
// text that shows all that was sent.
func One[T any](o *Outbox, match ...func(T) bool) T {
	o.t.Helper()
	var none T
	l := laneOf[T](o)
	if l == nil {
		return none
	}
	sent := sentOf(l, match)
	if len(sent) != 1 {
		o.t.Fatalf("entsignaltest: expected exactly one %v%s; %s\n%s", l.signal, thatMatch(match), wereSent(len(sent)), o.report(l))
		return none
	}
	return sent[0]
}

// None fails the test if a signal of type T was sent, of those for which each
// match reports true. It proves nothing about what may be sent later.
func None[T any](o *Outbox, match ...func(T) bool) {
	o.t.Helper()
	if l := laneOf[T](o); l != nil {
		if sent := sentOf(l, match); len(sent) > 0 {
			o.t.Fatalf("entsignaltest: expected no %v%s; %s\n%s", l.signal, thatMatch(match), wereSent(len(sent)), o.report(l))
		}
	}
}

// Eventually waits until at least n signals of type T were sent, of those for
// which each match reports true, and returns them. If that takes longer than the
// outbox's [Timeout] the test ends with a text that shows all that was sent.
func Eventually[T any](o *Outbox, n int, match ...func(T) bool) []T {
	o.t.Helper()
	l := laneOf[T](o)
	if l == nil {
		return nil
	}
	var sent []T
	if !o.await(func() bool { sent = sentOf(l, match); return len(sent) >= n }) {
		o.t.Fatalf("entsignaltest: expected %d %v%s within %v; %s\n%s", n, l.signal, thatMatch(match), o.timeout, wereSent(len(sent)), o.report(l))
	}
	return sent
}

// Batch is what one call of a sender has sent.
type Batch[T any] struct {
	// Batch is what the sender found in its context; Items are those of the
	// signals that were sent.
	entsignal.Batch
	Signals []T
}

// Batches returns the signals of type T that were sent, call by call, with the
// ids of their rows and what made the bus send them.
func Batches[T any](o *Outbox) []Batch[T] {
	o.t.Helper()
	l := laneOf[T](o)
	if l == nil {
		return nil
	}
	var all []Batch[T]
	last := 0
	for _, m := range l.sent() {
		if m.batch != last {
			meta := m.meta
			meta.Items = nil
			all, last = append(all, Batch[T]{Batch: meta}), m.batch
		}
		b := &all[len(all)-1]
		b.Items = append(b.Items, entsignal.Item{ID: m.id})
		b.Signals = append(b.Signals, m.signal.(T))
	}
	return all
}

// laneOf returns the lane of a signal. If there is none the test ends.
func laneOf[T any](o *Outbox) *lane {
	o.t.Helper()
	want := reflect.TypeFor[T]()
	var known []string
	for _, l := range o.lanes {
		if l.signal == want {
			return l
		}
		known = append(known, l.signal.String())
	}
	o.t.Fatalf("entsignaltest: %v is no signal of %v, which has: %s", want, o.senders, list(known))
	return nil
}

// sent returns the messages of the lane that were sent.
func (l *lane) sent() (all []message) {
	l.o.mu.Lock()
	defer l.o.mu.Unlock()
	for _, m := range l.o.sent {
		if m.lane == l {
			all = append(all, m)
		}
	}
	return all
}

func sentOf[T any](l *lane, match []func(T) bool) []T {
	all := []T{}
	for _, m := range l.sent() {
		signal := m.signal.(T)
		if !slices.ContainsFunc(match, func(matches func(T) bool) bool { return !matches(signal) }) {
			all = append(all, signal)
		}
	}
	return all
}

func thatMatch[T any](match []func(T) bool) string {
	if len(match) == 0 {
		return ""
	}
	return " that matches"
}

func wereSent(n int) string {
	switch n {
	case 0:
		return "none was sent."
	case 1:
		return "one was sent."
	default:
		return fmt.Sprintf("%d were sent.", n)
	}
}
