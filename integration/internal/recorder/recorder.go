// Package recorder names the signals that package entsignaltest has recorded by keys, so
// that a test can compare them with a list of numbers. Recording, failing and waiting are
// done by entsignaltest.
package recorder

import (
	"context"
	"sync"
	"testing"

	"github.com/entsignal/signalbus/entsignal/entsignaltest"
)

// Recorder shows what an outbox has of one signal type. T is the entity, and K is the key
// by which a test identifies a signal. Its methods are safe for concurrent use.
//
//	senders, outbox := entsignaltest.Senders[ent.SignalSenders](t)
//	orders := recorder.New(outbox, func(s *ent.OrderPlaced) int { return s.Number })
type Recorder[T any, K comparable] struct {
	outbox *entsignaltest.Outbox
	key    func(T) K

	mu     sync.Mutex
	before *entsignaltest.Fault // may be nil
}

// New returns a recorder that identifies the signals of an outbox by key.
func New[T any, K comparable](o *entsignaltest.Outbox, key func(T) K) *Recorder[T, K] {
	return &Recorder[T, K]{outbox: o, key: key}
}

// Before sets the function that [entsignaltest.Intercept] calls before each batch, in
// place of the last one; nil removes it.
func (r *Recorder[T, K]) Before(f func(ctx context.Context, signals []T) error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.before != nil {
		r.before.Stop()
		r.before = nil
	}
	if f != nil {
		r.before = entsignaltest.Intercept(r.outbox, f)
	}
}

// Keys returns the keys of everything that was sent so far, in order.
func (r *Recorder[T, K]) Keys() []K {
	var keys []K
	for _, s := range entsignaltest.Sent[T](r.outbox) {
		keys = append(keys, r.key(s))
	}
	return keys
}

// Batches returns what was sent so far, batch by batch.
func (r *Recorder[T, K]) Batches() []entsignaltest.Batch[T] {
	return entsignaltest.Batches[T](r.outbox)
}

// WaitFor waits until n signals were sent.
func (r *Recorder[T, K]) WaitFor(t testing.TB, n int) {
	t.Helper()
	entsignaltest.Eventually[T](r.outbox.For(t), n)
}
