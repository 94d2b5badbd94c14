package engine

import (
	"context"
	"slices"
	"time"

	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/sql"

	"github.com/entsignal/signalbus/internal/database"
)

// A batch of several keys leaves out what would make keys wait for each other. It is
// an ordered batch otherwise: its rows are sorted by key, and it ends with the first
// row that fails.

// several reports whether the batch has rows of several keys.
func (b *batch) several() bool { return len(b.sel.keys) > 1 }

func (b *batch) noteBusy(keys []int) { b.busy = keys }

// leaveOutKeys leaves out each key of which another transaction holds a row, and of
// the other keys the rows from the first one that may not be sent now.
func (b *batch) leaveOutKeys(ctx context.Context, drv dialect.Driver, now time.Time) error {
	if err := b.findHeld(ctx, drv); err != nil {
		return err
	}
	if b.rows == nil {
		return nil
	}
	var due []int
	all := b.ids()
	for i, id := range all {
		key := b.sel.keyOf[database.Comparable(id)]
		if b.waiting[key] != nil || slices.Contains(b.held, key) {
			continue
		}
		if b.heedsRetry() {
			if state := b.rows.State(i); !state.Due(now) {
				if b.waiting == nil {
					b.waiting = make(map[int]error)
				}
				b.waiting[key] = state.Blocked(b.rows.IDText(i))
				continue
			}
		}
		due = append(due, i)
	}
	switch {
	case len(due) == 0:
		b.rows = nil
	case len(due) < len(all):
		b.rows = b.rows.Pick(due)
	}
	return nil
}

// findHeld finds the keys with rows that were skipped because another transaction
// holds them. Rows that can't be seen are gone.
func (b *batch) findHeld(ctx context.Context, drv dialect.Driver) error {
	if len(b.ids()) == len(b.sel.ids) {
		return nil
	}
	read := make(map[any]bool, len(b.ids()))
	for _, id := range b.ids() {
		read[database.Comparable(id)] = true
	}
	var missing []any
	for _, id := range b.sel.ids {
		if !read[database.Comparable(id)] {
			missing = append(missing, id)
		}
	}
	held, err := b.signal.IDs(ctx, drv, func(s *sql.Selector) {
		b.signal.Columns().Listed(drv, missing)(s)
		b.alive(s)
	})
	for _, id := range held {
		if key := b.sel.keyOf[database.Comparable(id)]; !slices.Contains(b.held, key) {
			b.held = append(b.held, key)
		}
	}
	return err
}

// unsent returns those of the rows that stay, and an error if one of them failed on
// its own. Rows that the batch didn't find are neither.
func (b *batch) unsent(ids []any) (stay []any, why error) {
	own := false
	_, err := b.result(ids)
	for _, id := range ids {
		i, ok := b.places[database.Comparable(id)]
		if !ok || i >= len(b.results) || b.results[i].err == nil {
			continue
		}
		stay = append(stay, id)
		own = own || b.results[i].own
	}
	if own {
		why = err
	}
	return stay, why
}
