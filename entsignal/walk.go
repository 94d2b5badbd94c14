package entsignal

import (
	"sync"
	"sync/atomic"

	"entgo.io/ent/dialect"
)

// walk goes through a table by its key, so that a batch at the end costs what
// one at the start does, also while an old snapshot keeps the deleted rows in
// the index. Several workers may share a walk.
type walk struct {
	columns columns
	top     any

	ended atomic.Bool // the last step reached the end of the table

	mu   sync.Mutex // held while a step reads
	last any        // the highest id that was taken
}

// step returns the next step of the walk, of as many rows as limit says by then, as a selection's
// pick. The step is made when the rows are read. A batch that is tried again stays with its
// rows: the span in which they lie may hold others by then, which were locked
// before, and to take those instead would leave its own to nobody.
func (w *walk) step(limit func() int) func(dialect.Driver, reader) error {
	var mine []any
	return func(drv dialect.Driver, read reader) error {
		if mine != nil {
			_, err := read(w.columns.listed(drv, mine))
			return err
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.ended.Load() {
			return nil
		}
		most := limit()
		ids, err := read(w.columns.due(w.last, w.top, most))
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
