package probe

// A Listing is the ids or keys that a flush has listed. They are taken in order, or
// out of order as probes.
type Listing struct {
	all    []any
	taken  int          // of all, those before
	picked map[int]bool // of the others, those that a probe took
	retry  []any
	probes *listingProbes
}

// NewListing returns a listing of all.
func NewListing(all []any) *Listing { return &Listing{all: all} }

// Take returns the next ones.
func (l *Listing) Take(limit int, works bool) (some []any) {
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

// Again adds ids to be taken again, one by one, once the sender works.
func (l *Listing) Again(ids []any) { l.retry = append(l.retry, ids...) }

// Undecided reports whether there are ids to be taken again.
func (l *Listing) Undecided() bool { return len(l.retry) > 0 }

// Resume makes the next Pick start over.
func (l *Listing) Resume() { l.probes = nil }

// listingProbes are the places at which a listing is probed: first the ids to be
// taken again, then those that weren't taken yet.
type listingProbes struct {
	places *Places
	retry  []any
	first  int // of all
	n      int
	seen   map[int]bool
}

// Pick returns an id or key from another place.
func (l *Listing) Pick() (one any, ok bool) {
	p := l.probes
	if p == nil {
		p = &listingProbes{places: NewPlaces(), retry: l.retry, first: l.taken, seen: make(map[int]bool)}
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

// find returns the index of one that was not tried yet, or -1.
func (p *listingProbes) find(gone func(int) bool) int {
	fresh := func(i int) bool {
		if i < 0 || p.seen[i] || gone(i) {
			return false
		}
		p.seen[i] = true
		return true
	}
	if p.n > LeastProbes {
		for range MaxTries {
			if i := p.places.Next().Of(p.n); fresh(i) {
				return i
			}
		}
	}
	for i := range min(p.n, 2*MaxTries) { // few are left: each of them
		if fresh(i) {
			return i
		}
	}
	return -1
}
