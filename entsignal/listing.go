package entsignal

import (
	"context"
	"math/rand/v2"
)

// source is where a flush takes its batches from.
type source interface {
	// next returns what the next batch takes, up to limit rows, which may be asked
	// for when the rows are read; works says that
	// the sender works. It returns false at the end.
	next(limit func() int, works bool) (selection, bool)
	// again makes rows come again, one by one, once the sender works.
	again(ids []any)
	// undecided reports whether there are such rows.
	undecided() bool
	// probe returns a single row from another place, and false if there is none.
	probe(ctx context.Context) (selection, bool, error)
	// resume makes the next probe begin anew.
	resume()
}

// listing is what a flush has listed, ids or keys: each is taken in its order,
// or out of it as a probe.
type listing struct {
	all    []any
	taken  int          // of all, those before
	picked map[int]bool // of the others, those that a probe took
	retry  []any
	probes *listingProbes
}

func (l *listing) next(limit func() int, works bool) (selection, bool) {
	ids := l.take(limit(), works)
	return selection{ids: ids}, len(ids) > 0
}

// take returns the next ones.
func (l *listing) take(limit int, works bool) (some []any) {
	if works && len(l.retry) > 0 {
		some, l.retry = l.retry[:1:1], l.retry[1:]
		return some
	}
	for ; l.taken < len(l.all) && len(some) < limit; l.taken++ {
		if !l.picked[l.taken] {
			some = append(some, l.all[l.taken])
		}
	}
	return some
}

func (l *listing) again(ids []any) { l.retry = append(l.retry, ids...) }

func (l *listing) undecided() bool { return len(l.retry) > 0 }

func (l *listing) probe(context.Context) (selection, bool, error) {
	one, ok := l.pick()
	return selection{ids: []any{one}}, ok, nil
}

func (l *listing) resume() { l.probes = nil }

// listingProbes are the places at which a listing is probed: first those that
// are to be taken again, then those that weren't taken.
type listingProbes struct {
	places *places
	retry  []any
	first  int // of all
	n      int
	seen   map[int]bool
}

// pick returns one from another place.
func (l *listing) pick() (one any, ok bool) {
	p := l.probes
	if p == nil {
		p = &listingProbes{places: newPlaces(newRandom()), retry: l.retry, first: l.taken, seen: make(map[int]bool)}
		p.n = len(p.retry) + len(l.all) - p.first
		l.probes = p
	}
	i := p.find(func(i int) bool { return i >= len(p.retry) && l.picked[i-len(p.retry)+p.first] })
	switch {
	case i < 0:
		return nil, false
	case i < len(p.retry):
		return p.retry[i], true
	}
	i += p.first - len(p.retry)
	if l.picked == nil {
		l.picked = make(map[int]bool)
	}
	l.picked[i] = true
	return l.all[i], true
}

// find returns the index of one that was not looked at, or -1.
func (p *listingProbes) find(gone func(int) bool) int {
	fresh := func(i int) bool {
		if i < 0 || p.seen[i] || gone(i) {
			return false
		}
		p.seen[i] = true
		return true
	}
	if p.n > leastProbes {
		for range maxTries {
			if i := p.places.next().of(p.n); fresh(i) {
				return i
			}
		}
	}
	for i := range min(p.n, 2*maxTries) { // few are left: each of them
		if fresh(i) {
			return i
		}
	}
	return -1
}

func newRandom() *rand.Rand { return rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())) } //nolint:gosec // no secret
