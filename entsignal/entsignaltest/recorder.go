package entsignaltest

import (
	"context"
	"slices"
	"sync"

	"github.com/entsignal/signalbus/entsignal"
)

// Recorder is a sender that keeps what it is asked to send. T is the entity
// and K what a test knows a signal by. Its methods may be called by several
// goroutines.
//
//	sent := entsignaltest.NewRecorder(func(s *ent.OrderPlaced) int { return s.OrderID })
//	bus, err := ent.NewSignalBus(ent.SignalSenders{OrderPlaced: sent.Send})
type Recorder[T any, K comparable] struct {
	key func(T) K

	mu      sync.Mutex
	before  func(ctx context.Context, signals []T) error
	batches []RecordedBatch[K]
	changed chan struct{} // closed and replaced at each batch
}

// RecordedBatch is what one call of a sender has sent.
type RecordedBatch[K comparable] struct {
	entsignal.Batch     // as the sender found it in its context
	Keys            []K // the signals that were sent
}

// NewRecorder returns a recorder that knows signals by their key.
func NewRecorder[T any, K comparable](key func(T) K) *Recorder[T, K] {
	return &Recorder[T, K]{key: key, changed: make(chan struct{})}
}

// Before sets what runs before each batch is recorded; nil removes it. An
// error that it returns is the sender's. After an [*entsignal.BatchError]
// only the signals without an error count as sent.
func (r *Recorder[T, K]) Before(f func(ctx context.Context, signals []T) error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.before = f
}

// FailEach makes the sender fail for the signals for which fail returns an
// error, and send the others.
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
	batch := RecordedBatch[K]{Keys: make([]K, 0, len(signals))}
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
func (r *Recorder[T, K]) Batches() []RecordedBatch[K] {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.batches)
}

// Keys returns the keys of all that was sent so far, in order, and forgets
// nothing.
func (r *Recorder[T, K]) Keys() []K {
	var keys []K
	for _, b := range r.Batches() {
		keys = append(keys, b.Keys...)
	}
	return keys
}

// Reset forgets what was sent.
func (r *Recorder[T, K]) Reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.batches = nil
}

// WaitFor returns when done reports true for what was sent, which it is asked
// after each batch, or when ctx ends, with ctx's error.
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
