package entsignal

import "sync"

// walk goes through a table by its key, so that a batch at the end costs what
// one at the start does, also while an old snapshot keeps the deleted rows in
// the index. Several workers may share a walk.
type walk struct {
	columns columns
	top     any
	limit   int

	mu   sync.Mutex
	last any // the highest id that was taken
	end  bool
}

// step returns the next step of the walk as a selection's walk. The step is
// made when the rows are read; a batch that is tried again keeps its rows.
func (w *walk) step() func(reader) error {
	var (
		taken    bool
		from, to any
	)
	return func(read reader) error {
		if taken {
			_, err := read(w.columns.span(from, to, w.limit))
			return err
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.end {
			return nil
		}
		ids, err := read(w.columns.span(w.last, w.top, w.limit))
		if err != nil {
			return err
		}
		taken, from, to = true, w.last, w.top
		if len(ids) > 0 {
			w.last = ids[len(ids)-1]
			to = w.last
		}
		w.end = len(ids) < w.limit
		return nil
	}
}

// ended reports whether the last step reached the end of the table.
func (w *walk) ended() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.end
}
