// Package recorder has a sender that records by key what it is called with, for tests that
// count batches and modes. Tests of what a program sends use package entsignaltest.
package recorder

import (
	"context"
	"slices"
	"sync"

	"github.com/entsignal/signalbus/entsignal"
)

// Recorder is a sender that records the signals that it is called with. T is the
// entity, and K is the key by which a test identifies a signal. Its methods are
// safe for concurrent use.
//
//	sent := recorder.New(func(s *ent.OrderPlaced) int { return s.OrderID })
//	bus, err := ent.NewSignalBus(ent.SignalSenders{OrderPlaced: sent.Send})
type Recorder[T any, K comparable] struct {
	key func(T) K

	mu      sync.Mutex
	before  func(ctx context.Context, signals []T) error
	batches []Batch[K]
	changed chan struct{} // closed and replaced at each batch
}

// Batch is what one call of a sender has sent.
type Batch[K comparable] struct {
	entsignal.Batch     // as the sender found it in its context
	Keys            []K // the signals that were sent
}

// New returns a recorder that identifies signals by key.
func New[T any, K comparable](key func(T) K) *Recorder[T, K] {
	return &Recorder[T, K]{key: key, changed: make(chan struct{})}
}

// Before sets a function that runs before each batch is recorded; nil removes it.
// If it returns an error, the sender returns that error. With an
// [*entsignal.BatchError] the signals without an error count as sent; otherwise
// none does.
func (r *Recorder[T, K]) Before(f func(ctx context.Context, signals []T) error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.before = f
}

// FailEach makes the sender fail for the signals for which fail returns an error.
// The others are sent.
func (r *Recorder[T, K]) FailEach(fail func(T) error) {
	r.Before(func(_ context.Context, signals []T) error {
		errs := make([]error, len(signals))
		failed := false
		for i, s := range signals {
			errs[i] = fail(s)
			failed = failed || errs[i] != nil
		}
		if failed {
			return &entsignal.BatchError{Errors: errs}
		}
		return nil
	})
}

// Send is an [entsignal.Sender].
func (r *Recorder[T, K]) Send(ctx context.Context, signals []T) error {
	r.mu.Lock()
	before := r.before
	r.mu.Unlock()
	var err error
	if before != nil {
		err = before(ctx, signals)
	}
	part, _ := err.(*entsignal.BatchError) //nolint:errorlint // a wrapped one is none of ours
	if err != nil && part == nil {
		return err
	}
	batch := Batch[K]{Keys: make([]K, 0, len(signals))}
	batch.Batch, _ = entsignal.BatchFromContext(ctx)
	for i, s := range signals {
		if part == nil || part.Errors[i] == nil {
			batch.Keys = append(batch.Keys, r.key(s))
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.batches = append(r.batches, batch)
	close(r.changed)
	r.changed = make(chan struct{})
	return err
}

// Batches returns what was sent so far, batch by batch.
func (r *Recorder[T, K]) Batches() []Batch[K] {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.batches)
}

// Keys returns the keys of everything that was sent so far, in order. It doesn't
// reset them.
func (r *Recorder[T, K]) Keys() []K {
	var keys []K
	for _, b := range r.Batches() {
		keys = append(keys, b.Keys...)
	}
	return keys
}

// Reset deletes the record of what was sent.
func (r *Recorder[T, K]) Reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.batches = nil
}

// WaitFor calls done with the keys of what was sent, now and after each batch,
// until it returns true. If ctx ends first, it returns ctx's error.
func (r *Recorder[T, K]) WaitFor(ctx context.Context, done func(keys []K) bool) error {
	for {
		r.mu.Lock()
		changed := r.changed
		r.mu.Unlock()
		if done(r.Keys()) {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
