package engine

import (
	"context"
	"fmt"
	"sync"
	"time"

	"entgo.io/ent/dialect"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/internal/database"
	"github.com/entsignal/signalbus/internal/option"
)

// Oldest looks for the oldest signal of each type.
func (e *Engine) Oldest(ctx context.Context, o option.Flush) ([]entsignal.Oldest, error) {
	return survey(e, o, func(t *task) ([]entsignal.Oldest, error) {
		ctx := t.st.detach(ctx)
		if first, ok, err := t.firstRecorded(ctx); ok || err != nil {
			return []entsignal.Oldest{first}, err
		}
		if _, err := t.oldest(ctx); err != nil {
			return nil, err
		}
		oldest := entsignal.Oldest{Signal: t.info.Name}
		if id, since := t.lowest.get(); id != nil {
			oldest.ID, oldest.Since = t.IDText(id), since
		}
		return []entsignal.Oldest{oldest}, nil
	})
}

// firstRecorded returns the oldest signal by what mixin.Trace says. It reports false if
// it says nothing.
func (t *task) firstRecorded(ctx context.Context) (first entsignal.Oldest, ok bool, _ error) {
	if !t.Traced() {
		return first, false, nil
	}
	match := t.Columns().FirstRecorded()
	if t.Columns().Counted {
		match = t.Columns().First()
	}
	first, err := reading(ctx, t, func(ctx context.Context, drv dialect.Driver) (entsignal.Oldest, error) {
		ids, at, err := t.Recorded(ctx, drv, match)
		if err != nil || len(ids) == 0 || at[0] == nil {
			return entsignal.Oldest{}, err
		}
		return entsignal.Oldest{Signal: t.info.Name, ID: t.IDText(ids[0]), Since: at[0].UTC(), Exact: true}, nil
	})
	if err != nil {
		return first, false, fmt.Errorf("list: %w", err)
	}
	return first, first.Exact, nil
}

// oldest returns the lowest id that isn't dead, or nil if there is none, and notes it.
func (t *task) oldest(ctx context.Context) (any, error) {
	ids, err := t.read(ctx, t.Columns().First())
	if err != nil {
		return nil, err
	}
	var id any
	if len(ids) > 0 {
		id = ids[0]
	} else {
		t.engine.noteNothingWaits(ctx, t.signalType)
	}
	t.lowest.note(id, time.Now())
	return id, nil
}

// lowest knows the lowest pending id of a type, and since when it was that.
type lowest struct {
	mu    sync.Mutex
	id    any // nil: none
	since time.Time
}

// note notes which id is the lowest now.
func (l *lowest) note(id any, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if id != nil && l.id != nil && database.Comparable(l.id) == database.Comparable(id) {
		return
	}
	l.id, l.since = id, now
}

// get returns what was noted last.
func (l *lowest) get() (id any, since time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.id, l.since
}
