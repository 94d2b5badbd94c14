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

// Due returns how many of the signals a flush may send now: all but those that
// wait and those that are dead.
func (c PendingCount) Due() int { return c.Count - c.Waiting - c.Dead }

// Pending counts the signals that wait to be sent, those of types without a
// sender too. It has one element for each type. A row that a flush is sending
// just now counts until its deletion is committed. If a type can't be counted
// the error joins a [*FlushError] for it, and the others are returned.
// Options: Only, Exclude.
func (b *Bus) Pending(ctx context.Context, opts ...FlushOption) ([]PendingCount, error) {
	return survey(b, "Pending", opts, func(t *task, _ flushOptions) ([]PendingCount, error) {
		n, err := t.countPending(ctx)
		return []PendingCount{n}, err
	})
}

// survey asks each type that the options of a method choose. If one can't be
// asked the error joins a [*FlushError] for it, and the others are returned.
func survey[R any](b *Bus, method string, opts []FlushOption, ask func(*task, flushOptions) ([]R, error)) ([]R, error) {
	o, err := parseOptions(method, opts, busOptions...)
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
	all := []R{}
	var errs []error
	for _, chosen := range chosen {
		answers, err := ask(&task{signalType: chosen, bus: b, st: st}, o)
		if err != nil {
			errs = append(errs, &FlushError{Signal: chosen.Name, Err: err})
			continue
		}
		all = append(all, answers...)
	}
	return all, errors.Join(errs...)
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
