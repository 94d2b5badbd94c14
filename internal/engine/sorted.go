package engine

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"entgo.io/ent/dialect"

	"github.com/entsignal/signalbus/internal/budget"
	"github.com/entsignal/signalbus/internal/table"
)

// sendSorted sends as many rows as are pending, in the order of the type. Each batch
// begins behind the last row of the one before, because deleted rows stay in the index
// for a while: a batch that begins at the front walks past all of them.
//
// A row that is committed now, or changed, may belong before the rows that were sent.
// So some batches do begin at the front; see [frontLooks]. The last one always does.
func (t *task) sendSorted(ctx context.Context, wait *lockWait) (sent int, err error) {
	most, err := t.pending(ctx)
	if err != nil {
		return 0, err
	}
	hasPlaces := t.Columns().HasPlaces(t.st.driver)
	if hasPlaces && most >= manyRows {
		// Without an index, each part of the rows behind a place is a sort of the whole table.
		if hasPlaces, err = t.isIndexed(ctx, most); err != nil {
			return 0, err
		}
	}
	var (
		after table.Place // nil: from the front
		looks frontLooks
	)
	for sent < most {
		if err := t.engine.stopped(ctx); err != nil {
			return sent, err
		}
		if looks.due(time.Now()) {
			after = nil
		}
		var (
			next  table.Place
			found int
			took  time.Duration
			d     *batch
		)
		limit := min(t.limit(ctx), most-sent)
		d = t.engine.newBatch(t.signalType, t.mode, selection{pick: func(_ dialect.Driver, read reader) error {
			began := time.Now()
			ids, err := read(t.Columns().Stretch(table.Stretch{After: after, Limit: limit, Alive: t.opts.SkipDead}))
			found, took, next = len(ids), time.Since(began), nil
			if last := found - 1; last >= 0 && len(d.ids()) == found {
				next = d.rows.Place(last)
			}
			return err
		}})
		n, err := t.deliverInOrder(ctx, wait, d)
		sent += n
		if err != nil {
			return sent, err
		}
		looks.note(time.Now(), after == nil, took)
		// If rows may move, a short result can also mean that rows were deleted meanwhile.
		if after == nil && (found == 0 || found < limit && !t.Columns().Movable(t.st.driver)) {
			return sent, nil
		}
		if after = next; found < limit || !hasPlaces {
			after = nil
		}
	}
	return sent, nil
}

// frontLooks decides when an ordered flush looks at the front again: at every second
// batch as long as that costs nothing extra, and otherwise so seldom that it takes a
// twentieth of the time.
type frontLooks struct {
	behind time.Duration // what the last query that began behind a place has taken
	passed bool          // there was one since the last look
	next   time.Time
}

const (
	frontShare = 20
	// maxFrontPause is the longest time between two looks. A query may have waited for a row.
	maxFrontPause = 10 * time.Second
)

func (f *frontLooks) due(now time.Time) bool { return f.passed && !now.Before(f.next) }

// note notes a query that began at the front, or behind a place.
func (f *frontLooks) note(now time.Time, front bool, took time.Duration) {
	if !front {
		f.behind, f.passed = took, true
		return
	}
	f.passed, f.next = false, now.Add(min(frontShare*max(0, took-f.behind), maxFrontPause))
}

// manyRows is how many rows make it worthwhile to ask for an index.
const manyRows = 10_000

// isIndexed reports whether an index serves the order of the type. If none does, it
// logs that once, for a table with that many rows.
func (t *task) isIndexed(ctx context.Context, rows int) (bool, error) {
	missing, err := t.missingIndex(ctx)
	if err == nil && missing != "" && t.engine.logged.first("index "+t.info.Name) {
		t.engine.log.WarnContext(ctx, "no index serves the order, so each batch sorts the whole table", slog.String("signal", t.info.Name),
			slog.Int("rows", rows), slog.String("cure", missing))
	}
	return missing == "", err
}

// missingIndex returns the statement that creates an index of the order, or an empty
// string if there is one.
func (t *task) missingIndex(ctx context.Context) (string, error) {
	order, of := t.Columns().Indexed(), t.Table()
	if t.indexed.Load() || order.IsOf(of.IDColumn) {
		return "", nil
	}
	ok, err := budget.Ask(ctx, t.engine.budget, func(ctx context.Context) (bool, error) {
		return t.st.OrderIndexed(ctx, t.st.driver, of, order)
	})
	switch {
	case err != nil:
		return "", fmt.Errorf("look for an index of the order: %w", err)
	case ok:
		t.indexed.Store(true)
		return "", nil
	default:
		return order.Create(t.st.driver.Dialect(), of), nil
	}
}
