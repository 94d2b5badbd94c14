package entsignal

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/sql"

	"github.com/entsignal/signalbus/internal/database"
)

// FailedSignal is a signal whose sending has failed: it waits for its next
// attempt, or is parked as dead.
type FailedSignal struct {
	Name     string     `json:"name"` // of its type
	ID       string     `json:"id"`
	Attempts int        `json:"attempts"`
	Error    string     `json:"error"`     // of the last attempt, cut to some length
	FailedAt *time.Time `json:"failed_at"` // when it was parked; nil if it is not
	RetryAt  *time.Time `json:"retry_at"`  // when it may be tried again; nil if it is parked
	Dead     bool       `json:"dead"`      // parked: it is sent no more unless it is retried
}

// errNoIDs is the error of a call that names no signal.
var errNoIDs = errors.New("no ids")

// mendPage is how many rows one transaction of Retry, RetryAll and Discard
// changes.
const mendPage = 1000

// Failed lists the signals whose sending has failed, by type and id. It knows
// of the types with mixin.Retry only; the bus keeps no account of the others,
// and with Only they are [ErrNoRetry]. Options: Only, Exclude.
func (b *Bus) Failed(ctx context.Context, opts ...FlushOption) ([]FailedSignal, error) {
	return survey(b, "Failed", opts, func(t *task, o flushOptions) ([]FailedSignal, error) {
		switch {
		case t.retries():
			return t.listFailed(ctx)
		case o.only != nil:
			return nil, ErrNoRetry
		default:
			return nil, nil
		}
	})
}

// Retry makes signals that have failed be tried again as if they never had,
// those that wait and those that are parked; the next flush sends them. It
// returns how many that are. An id that is of no row that has failed counts
// for nothing; one that can be none of the type is an [*InvalidIDError]. A type
// without mixin.Retry is [ErrNoRetry].
func (b *Bus) Retry(ctx context.Context, name string, ids ...string) (int, error) {
	t, err := b.mendable(name)
	if err != nil {
		return 0, err
	}
	return b.mendListed(ctx, t, ids, revived())
}

// RetryAll is [Bus.Retry] of all signals of a type that have failed.
func (b *Bus) RetryAll(ctx context.Context, name string) (int, error) {
	t, err := b.mendable(name)
	if err != nil {
		return 0, err
	}
	return b.mend(ctx, t, revived(), func(page mender) error {
		var after any
		for {
			ids, err := page(t.columns().span(after, nil, mendPage))
			if err != nil || len(ids) < mendPage {
				return err
			}
			after = ids[len(ids)-1]
		}
	})
}

// Discard deletes signals that have failed, or whose rows can't be decoded (see
// [DecodeError]), unsent and for good. It waits for a flush that is sending one
// of them, and then leaves what was sent. In all else it is like [Bus.Retry]; a
// signal that has not failed can't be discarded. Of a type without mixin.Retry it
// deletes those that can't be decoded, and the others are [ErrNoRetry].
func (b *Bus) Discard(ctx context.Context, name string, ids ...string) (int, error) {
	t, err := b.find(name)
	if err != nil {
		return 0, err
	}
	n, err := b.mendListed(ctx, t, ids, nil)
	if err == nil && !t.retries() && n < distinct(ids) {
		err = &FlushError{Signal: name, Err: ErrNoRetry}
	}
	return n, err
}

func distinct(texts []string) int {
	seen := make(map[string]bool)
	for _, text := range texts {
		seen[text] = true
	}
	return len(seen)
}

// mendListed sets columns of the rows with these ids that have failed, or
// deletes them.
func (b *Bus) mendListed(ctx context.Context, t signalType, texts []string, set []database.Value) (int, error) {
	ids := make([]any, len(texts))
	for i, text := range texts {
		var err error
		if ids[i], err = b.findID(ctx, t, text); err != nil {
			return 0, &InvalidIDError{Signal: t.Name, ID: text, Err: err}
		}
	}
	if len(ids) == 0 {
		return 0, &FlushError{Signal: t.Name, Err: errNoIDs}
	}
	return b.mend(ctx, t, set, func(page mender) error {
		for ids := range slices.Chunk(ids, mendPage) {
			if _, err := page(t.columns().listed(nil, ids)); err != nil {
				return err
			}
		}
		return nil
	})
}

// findID returns the id that has the text. One that is none of the type may
// still be that of a row, which then can't be decoded.
func (b *Bus) findID(ctx context.Context, t signalType, text string) (any, error) {
	id, invalid := t.parseID(text)
	if invalid == nil {
		return id, nil
	}
	st, err := b.store()
	if err != nil {
		return nil, invalid
	}
	found, err := (&task{signalType: t, bus: b, st: st}).read(ctx, t.columns().listed(nil, []any{text}))
	if err == nil && len(found) == 1 && t.textOf(found[0]) == text { // MySQL may see a number in it
		return found[0], nil
	}
	return nil, invalid
}

// mendable returns the type of that name if it has mixin.Retry.
func (b *Bus) mendable(name string) (signalType, error) {
	t, err := b.find(name)
	if err == nil && !t.retries() {
		err = &FlushError{Signal: name, Err: ErrNoRetry}
	}
	return t, err
}

// mender changes those of the rows that match which have failed, and returns
// their ids.
type mender func(match func(*sql.Selector)) (ids []any, err error)

// mend sets columns of the rows that all gives to page, or deletes them, and
// returns how many that are.
func (b *Bus) mend(ctx context.Context, t signalType, set []database.Value, all func(page mender) error) (total int, _ error) {
	ctx, st, done, err := b.begin(ctx)
	if err != nil {
		return 0, err
	}
	defer done()
	err = all(func(match func(*sql.Selector)) ([]any, error) {
		m := database.Mend{
			Driver: st.driver,
			Table:  t.table(),
			Set:    set,
			Pick: func(ctx context.Context, drv dialect.Driver, lock func(*sql.Selector)) ([]any, error) {
				if set == nil {
					return t.discardable(ctx, drv, func(s *sql.Selector) {
						match(s)
						lock(s)
					})
				}
				return t.ids(ctx, drv, func(s *sql.Selector) {
					match(s)
					hasFailed(s)
					lock(s)
				})
			},
		}
		ids, err := b.mendOnce(ctx, st, m)
		total += len(ids)
		return ids, err
	})
	if err != nil {
		err = &FlushError{Signal: t.Name, Err: err}
	}
	return total, err
}

// mendOnce changes one page, and returns the ids of its rows. It tries again
// after a conflict with a flush.
func (b *Bus) mendOnce(ctx context.Context, st store, m database.Mend) ([]any, error) {
	for try := 0; ; try++ {
		ids, err := ask(ctx, b, func(ctx context.Context) ([]any, error) {
			if err := b.check(ctx, st, m.Table); err != nil {
				return nil, err
			}
			return st.Mend(ctx, m)
		})
		if err == nil || errors.Is(err, errStuck) || try == serializationRetries || !database.IsSerializationFailure(err) || !b.pause(ctx, serializationBackoff(try)) {
			return ids, err
		}
	}
}

// listFailed returns the rows that have failed.
func (t *task) listFailed(ctx context.Context) (all []FailedSignal, _ error) {
	var after any
	for {
		type page struct {
			failed []FailedSignal
			last   any
		}
		p, err := reading(ctx, t, func(ctx context.Context, drv dialect.Driver) (p page, err error) {
			p.failed, p.last, err = t.failed(ctx, drv, t.columns().span(after, nil, mendPage))
			return p, err
		})
		if err != nil {
			return all, fmt.Errorf("list: %w", err)
		}
		all = append(all, p.failed...)
		if len(p.failed) < mendPage {
			return all, nil
		}
		after = p.last
	}
}
