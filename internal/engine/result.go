package engine

import (
	"errors"
	"slices"
	"time"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/internal/database"
	"github.com/entsignal/signalbus/internal/retry"
)

// The results of a batch after its claim.

// undecided returns the ids of rows for which the batch doesn't show whether each
// of them can be sent.
func (b *batch) undecided() (ids []any) {
	switch {
	case len(b.ids()) < 2:
		return nil
	case !b.called:
		return b.ids()
	}
	for _, r := range b.results {
		if r.err != nil && !r.own {
			ids = append(ids, r.id)
		}
	}
	return ids
}

// result returns how many of the given rows were sent, and why the others were not.
func (b *batch) result(ids []any) (sent int, _ error) {
	// In a shared batch each commit asks.
	if b.places == nil {
		b.places = make(map[any]int, len(b.results)+len(b.undecodable))
		for i, r := range b.results {
			b.places[database.Comparable(r.id)] = i
		}
		for i, a := range b.undecodable {
			b.places[database.Comparable(a.ID)] = len(b.results) + i
		}
	}
	var errs []error
	for _, id := range ids {
		i, ok := b.places[database.Comparable(id)]
		if !ok { // already gone, or held by another flush
			continue
		}
		var err error
		if i < len(b.results) {
			err = b.results[i].err
		} else {
			err = b.describe(b.undecodable[i-len(b.results)])
		}
		if err == nil {
			sent++
		}
		errs = append(errs, err)
	}
	switch {
	case sent == len(errs):
		return sent, nil
	case len(errs) == 1:
		return sent, errs[0]
	default:
		return sent, &entsignal.BatchError{Errors: errs}
	}
}

// blamesUndecodable reports whether to report the rows that can't be decoded. In an
// ordered flush, an earlier failure comes first.
func (b *batch) blamesUndecodable() bool {
	return len(b.undecodable) > 0 && (!b.ordered() || !slices.ContainsFunc(b.results, func(r rowResult) bool { return r.err != nil }))
}

// undecodableChanges returns what to record in the rows that can't be decoded.
func (b *batch) undecodableChanges() []database.Change {
	if !b.blamesUndecodable() || b.signal.Retry() == nil {
		return nil
	}
	tried := slices.DeleteFunc(slices.Clone(b.undecodable), func(a retry.Attempt) bool { return errors.Is(a.Err, entsignal.ErrNotTried) })
	return b.signal.Retry().Changes(tried, time.Now())
}

// withUndecodable returns the error of a claim joined with those of the rows that
// can't be decoded.
func (b *batch) withUndecodable(err error) error {
	if !b.blamesUndecodable() {
		return err
	}
	errs := make([]error, len(b.undecodable))
	for i, a := range b.undecodable {
		errs[i] = b.describe(a)
	}
	switch part := err.(type) { //nolint:errorlint // as send returns it
	case nil:
		return &entsignal.BatchError{Errors: append(make([]error, len(b.ids())), errs...)}
	case *entsignal.BatchError:
		return &entsignal.BatchError{Errors: slices.Concat(part.Errors, errs)}
	default:
		return errors.Join(err, &entsignal.BatchError{Errors: errs})
	}
}

// failedCount returns how many rows of the batch stay because of an error.
func (b *batch) failedCount() (n int) {
	for _, r := range b.results {
		if r.err != nil {
			n++
		}
	}
	if b.blamesUndecodable() {
		n += len(b.undecodable)
	}
	return n
}

// died returns the texts of the ids of the rows that are dead now, and the error of
// the first of them.
func (b *batch) died() (ids []string, why error) {
	policy := b.signal.Retry()
	if policy == nil {
		return nil, nil
	}
	note := func(a retry.Attempt) {
		if errors.Is(a.Err, entsignal.ErrNotTried) || !policy.Dead(a) {
			return
		}
		if why == nil {
			why = a.Err
		}
		ids = append(ids, b.signal.IDText(a.ID))
	}
	for i, r := range b.results {
		if r.err != nil && r.own {
			note(retry.Attempt{ID: r.id, State: b.rows.State(i), Err: r.err})
		}
	}
	if b.blamesUndecodable() {
		for _, a := range b.undecodable {
			note(a)
		}
	}
	return ids, why
}
