package entsignaltest

import (
	"fmt"
	"reflect"
	"slices"

	"github.com/entsignal/signalbus/entsignal"
)

// Sent returns the signals of type T that were sent, in order. If match functions
// are given, it returns only the signals for which all of them return true. A
// signal that was sent twice is in the result twice.
func Sent[T any](o *Outbox, match ...func(T) bool) []T {
	o.t.Helper()
	l := laneOf[T](o)
	if l == nil {
		return nil
	}
	return sentOf(l, match)
}

// One returns the only signal of type T that was sent and for which all match
// functions return true. If there is none or more than one, the test fails at once,
// with a list of everything that was sent.
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

// None fails the test if a signal of type T was sent for which all match functions
// return true. It can't know what will be sent later.
func None[T any](o *Outbox, match ...func(T) bool) {
	o.t.Helper()
	if l := laneOf[T](o); l != nil {
		if sent := sentOf(l, match); len(sent) > 0 {
			o.t.Fatalf("entsignaltest: expected no %v%s; %s\n%s", l.signal, thatMatch(match), wereSent(len(sent)), o.report(l))
		}
	}
}

// Eventually waits until at least n signals of type T were sent for which all match
// functions return true, and returns them. After the outbox's [Timeout] the test
// fails at once, with a list of everything that was sent.
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

// Batch is the result of one call of a sender.
type Batch[T any] struct {
	// Batch is the batch from the sender's context, with the Items of the signals that
	// were sent.
	entsignal.Batch
	Signals []T
}

// Batches returns the signals of type T that were sent, grouped by call of the
// sender, with the ids of their rows and the operation that sent them.
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

// laneOf returns the lane of a signal. If there is none, the test fails at once.
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
	o.t.Fatalf("entsignaltest: %v is not a signal of %v, which has: %s", want, o.senders, list(known))
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
