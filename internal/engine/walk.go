package engine

import (
	"context"
	"sync"
	"sync/atomic"

	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/sql"

	"github.com/entsignal/signalbus/internal/database"
	"github.com/entsignal/signalbus/internal/probe"
	"github.com/entsignal/signalbus/internal/table"
)

// walk goes through a table by its primary key, so that a batch at the end costs
// the same as one at the start, even while an old snapshot keeps deleted rows in
// the index. Several workers may share a walk.
type walk struct {
	columns table.Columns
	top     any
	// read returns the ids of the rows that match, without locking them.
	read func(ctx context.Context, match func(*sql.Selector)) ([]any, error)

	ended atomic.Bool // the last step reached the end of the table

	stepping sync.Mutex // held while a step reads
	last     any        // the highest id that was taken

	mu     sync.Mutex // guards retry
	retry  []any
	probes *walkProbes // used by one goroutine
}

func (w *walk) next(limit func() int, works bool) (selection, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if works && len(w.retry) > 0 {
		one := w.retry[:1:1]
		w.retry = w.retry[1:]
		return selection{ids: one}, true
	}
	return selection{pick: w.step(limit)}, !w.ended.Load()
}

// step returns the next step of the walk as the pick function of a selection. The
// step is made when the rows are read, and takes as many rows as limit returns
// then. A batch that is tried again keeps its rows. The range in which they lie may
// contain other rows by then, which were locked before; if the batch took those, no
// batch would send its own.
func (w *walk) step(limit func() int) func(dialect.Driver, reader) error {
	var mine []any
	return func(drv dialect.Driver, read reader) error {
		if mine != nil {
			_, err := read(w.columns.Listed(drv, mine))
			return err
		}
		w.stepping.Lock()
		defer w.stepping.Unlock()
		if w.ended.Load() {
			return nil
		}
		most := limit()
		ids, err := read(w.columns.Due(w.last, w.top, most))
		if err != nil {
			return err
		}
		if len(ids) > 0 {
			mine, w.last = ids, ids[len(ids)-1]
		}
		w.ended.Store(len(ids) < most)
		return nil
	}
}

func (w *walk) again(ids []any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.retry = append(w.retry, ids...)
}

func (w *walk) undecided() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.retry) > 0
}

func (w *walk) resume() { w.probes = nil }

// walkProbes are the places at which a walk is probed.
type walkProbes struct {
	// near has the rows to be taken again and the rows that come next: all that are
	// left, or at least as many as there are probes.
	near   *probe.Listing
	all    bool
	first  any // the id of the first row that comes next
	places *probe.Places
	n      int // number of probes so far
	jump   any // the id up to which the middle was searched, if by jumps
	seen   map[any]bool
}

// probe implements [source]. It reads only ids, and only a few, however long the
// table is.
func (w *walk) probe(ctx context.Context) (selection, bool, error) {
	p := w.probes
	if p == nil {
		ids, err := w.read(ctx, w.columns.Due(w.last, w.top, probe.LeastProbes))
		if err != nil {
			return selection{}, false, err
		}
		w.mu.Lock()
		p = &walkProbes{near: probe.NewListing(append(w.retry[:len(w.retry):len(w.retry)], ids...)), all: len(ids) < probe.LeastProbes, places: probe.NewPlaces(), seen: make(map[any]bool)}
		w.mu.Unlock()
		if len(ids) > 0 {
			p.first = ids[0]
		}
		w.probes = p
	}
	for range probe.MaxTries {
		if p.n++; p.all || p.n%4 == 0 {
			break
		}
		where := p.places.Next()
		ids, err := w.read(ctx, w.at(where, p))
		if err != nil {
			return selection{}, false, err
		}
		if where.From == probe.Anywhere {
			p.jump = nil
		}
		for _, id := range ids {
			if where.From == probe.Anywhere {
				p.jump = id
			}
			if one := database.Comparable(id); !p.seen[one] {
				p.seen[one] = true
				return selection{ids: ids}, true, nil
			}
		}
	}
	one, ok := p.near.Pick()
	return selection{ids: []any{one}}, ok, nil
}

// maxJump limits a jump, because the database counts the rows in it.
const maxJump = 1 << 12

// at matches the row at a place. If the ids are integers, the middle of the table
// is found by value. Otherwise it is found by jumps from the beginning, which don't
// reach as far in a long table.
func (w *walk) at(where probe.Place, p *walkProbes) func(*sql.Selector) {
	after, skip := w.last, where.Distance
	if where.From == probe.Anywhere {
		if id, ok := w.columns.Between(p.first, w.top, where.Part); ok {
			return w.columns.Due(id, w.top, 1)
		}
		if skip = int(where.Part * maxJump); p.jump != nil {
			after = p.jump
		}
	}
	return func(s *sql.Selector) {
		w.columns.Due(after, w.top, 1)(s)
		if where.From == probe.FromLast {
			s.ClearOrder().OrderBy(sql.Desc(s.C(w.columns.ID)))
		}
		s.Offset(skip)
	}
}
