package entsignal

import (
	"context"
	"errors"
	"time"
)

// PendingCount is the number of pending signals of one type.
type PendingCount struct {
	Name  string `json:"name"`
	Count int    `json:"count"` // all of them
	// Of these, with mixin.Retry, how many have failed and wait for their next
	// attempt, and how many are parked as dead. Each other one may be sent.
	Waiting int `json:"waiting,omitempty"`
	Dead    int `json:"dead,omitempty"`
}

// Pending counts the signals that wait to be sent, those of types without a
// sender too. It has one element for each type. A row that a flush is sending
// just now counts until its deletion is committed. If a type can't be counted
// the error joins a [*FlushError] for it, and the others are returned.
// Options: Only, Exclude.
func (b *Bus) Pending(ctx context.Context, opts ...FlushOption) ([]PendingCount, error) {
	o, err := parseOptions("Pending", opts, busOptions...)
	if err != nil {
		return nil, err
	}
	chosen, err := b.choose(o)
	if err != nil {
		return nil, err
	}
	st, err := b.store()
	if err != nil {
		return nil, err
	}
	counts := make([]PendingCount, 0, len(chosen))
	var errs []error
	for _, chosen := range chosen {
		t := task{signalType: chosen, bus: b, st: st}
		n, err := t.countPending(ctx)
		if err != nil {
			errs = append(errs, &FlushError{Signal: t.Name, Err: err})
			continue
		}
		counts = append(counts, n)
	}
	return counts, errors.Join(errs...)
}

func (t *task) countPending(ctx context.Context) (n PendingCount, err error) {
	n.Name = t.Name
	if n.Count, err = t.pending(ctx); err != nil || n.Count == 0 || !t.retries() {
		return n, err
	}
	if n.Dead, err = t.pendingThat(ctx, isDead); err != nil {
		return n, err
	}
	n.Waiting, err = t.pendingThat(ctx, isWaiting(time.Now()))
	return n, err
}
