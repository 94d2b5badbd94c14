package engine

import (
	"context"
	"errors"
	"slices"

	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/sql"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/internal/budget"
	"github.com/entsignal/signalbus/internal/database"
	"github.com/entsignal/signalbus/internal/option"
	"github.com/entsignal/signalbus/internal/retry"
)

// errNoIDs is the error of a call that names no signal.
var errNoIDs = errors.New("no ids")

// repairPage is how many rows one transaction of Retry, RetryAll and Discard
// changes.
const repairPage = 1000

// Retry resets failed signals, so that they are tried again as if they had never
// failed.
func (e *Engine) Retry(ctx context.Context, name string, ids []string) (int, error) {
	t, err := e.withRetry(name)
	if err != nil {
		return 0, err
	}
	return e.repairListed(ctx, t, ids, retry.Revived())
}

// RetryAll is Retry for all failed signals of a type that the options select.
func (e *Engine) RetryAll(ctx context.Context, name string, o option.Flush) (int, error) {
	return e.repairAll(ctx, name, retry.Revived(), o)
}

// DiscardAll deletes the failed signals of a type that the options select.
func (e *Engine) DiscardAll(ctx context.Context, name string, o option.Flush) (int, error) {
	return e.repairAll(ctx, name, nil, o)
}

// repairAll sets columns of the failed rows that the options select, or deletes the
// rows.
func (e *Engine) repairAll(ctx context.Context, name string, set []database.Value, o option.Flush) (int, error) {
	t, err := e.withRetry(name)
	if err != nil {
		return 0, err
	}
	return e.repair(ctx, t, set, func(page repairPageFunc) error {
		var after any
		for {
			ids, err := page(func(s *sql.Selector) {
				t.Columns().Span(after, nil, repairPage)(s)
				retry.HasFailed(s)
				retry.HasError(o.ErrorText)(s)
			})
			if err != nil || len(ids) < repairPage {
				return err
			}
			after = ids[len(ids)-1]
		}
	})
}

// Discard deletes signals that have failed, or whose rows can't be decoded.
func (e *Engine) Discard(ctx context.Context, name string, ids []string) (int, error) {
	t, err := e.find(name)
	if err != nil {
		return 0, err
	}
	n, err := e.repairListed(ctx, t, ids, nil)
	if err == nil && t.Retry() == nil && n < distinct(ids) {
		err = &entsignal.FlushError{Signal: name, Err: entsignal.ErrNoRetry}
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

// repairListed sets columns of the failed rows with these ids, or deletes the rows.
func (e *Engine) repairListed(ctx context.Context, t *signalType, texts []string, set []database.Value) (int, error) {
	ids := make([]any, len(texts))
	for i, text := range texts {
		var err error
		if ids[i], err = e.findID(ctx, t, text); err != nil {
			return 0, &entsignal.InvalidIDError{Signal: t.info.Name, ID: text, Err: err}
		}
	}
	if len(ids) == 0 {
		return 0, &entsignal.FlushError{Signal: t.info.Name, Err: errNoIDs}
	}
	return e.repair(ctx, t, set, func(page repairPageFunc) error {
		for ids := range slices.Chunk(ids, repairPage) {
			if _, err := page(t.Columns().Listed(nil, ids)); err != nil {
				return err
			}
		}
		return nil
	})
}

// findID returns the id with this text. Even if the text is not a valid id of the
// type, a row may have it, which then can't be decoded.
func (e *Engine) findID(ctx context.Context, t *signalType, text string) (any, error) {
	id, invalid := t.ParseID(text)
	if invalid == nil {
		return id, nil
	}
	st, err := e.store()
	if err != nil {
		return nil, invalid
	}
	found, err := (&task{signalType: t, engine: e, st: st}).read(ctx, t.Columns().Listed(nil, []any{text}))
	if err == nil && len(found) == 1 && t.IDText(found[0]) == text { // MySQL may see a number in it
		return found[0], nil
	}
	return nil, invalid
}

// withRetry returns the type with that name, if it has mixin.Retry.
func (e *Engine) withRetry(name string) (*signalType, error) {
	t, err := e.find(name)
	if err == nil && t.Retry() == nil {
		err = &entsignal.FlushError{Signal: name, Err: entsignal.ErrNoRetry}
	}
	return t, err
}

// A repairPageFunc changes the failed rows among those that match, and returns
// their ids.
type repairPageFunc func(match func(*sql.Selector)) (ids []any, err error)

// repair sets columns of the rows that all passes to page, or deletes them. It
// returns how many rows it changed.
func (e *Engine) repair(ctx context.Context, t *signalType, set []database.Value, all func(page repairPageFunc) error) (total int, _ error) {
	ctx, st, done, err := e.begin(ctx)
	if err != nil {
		return 0, err
	}
	defer done()
	err = all(func(match func(*sql.Selector)) ([]any, error) {
		m := database.Repair{
			Driver: st.driver,
			Table:  t.Table(),
			Set:    set,
			Pick: func(ctx context.Context, drv dialect.Driver, lock func(*sql.Selector)) ([]any, error) {
				locked := func(s *sql.Selector) {
					match(s)
					lock(s)
				}
				if set == nil {
					return t.discardable(ctx, drv, locked)
				}
				return t.IDs(ctx, drv, func(s *sql.Selector) {
					locked(s)
					retry.HasFailed(s)
				})
			},
		}
		ids, err := e.repairOnce(ctx, st, m)
		total += len(ids)
		return ids, err
	})
	if err != nil {
		err = &entsignal.FlushError{Signal: t.info.Name, Err: err}
	}
	return total, err
}

// repairOnce changes one page, and returns the ids of its rows. It tries again
// after a conflict with a flush.
func (e *Engine) repairOnce(ctx context.Context, st store, m database.Repair) ([]any, error) {
	for try := 0; ; try++ {
		ids, err := budget.Ask(ctx, e.budget, func(ctx context.Context) ([]any, error) {
			if err := e.check(ctx, st, m.Table); err != nil {
				return nil, err
			}
			return st.Repair(ctx, m)
		})
		if err == nil || errors.Is(err, budget.ErrStuck) || try == serializationRetries || !database.IsSerializationFailure(err) || !e.pause(ctx, serializationBackoff(try)) {
			return ids, err
		}
	}
}
