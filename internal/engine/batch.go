package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/sql"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/internal/bisect"
	"github.com/entsignal/signalbus/internal/database"
	"github.com/entsignal/signalbus/internal/quote"
	"github.com/entsignal/signalbus/internal/retry"
	"github.com/entsignal/signalbus/internal/sending"
	"github.com/entsignal/signalbus/internal/table"
)

// A selection determines the rows of a batch: either the rows with the ids, in that
// order, or the rows that pick selects.
type selection struct {
	ids []any
	// pick calls read with a condition and gets the ids of the rows. If a batch is
	// tried again, pick is called again.
	pick func(drv dialect.Driver, read reader) error
	// keys are the texts of the keys of these rows, if the type has an OrderKey.
	keys []string
	// keyOf has the index of the key of each id, if there are several keys.
	keyOf map[any]int
	// skipDead makes an ordered flush skip dead rows.
	skipDead bool
	// refused, if set, is called after each failed call of the sender for so many
	// signals. It reports whether to bisect the batch.
	refused func(signals int) bool
}

// reader reads the rows that match, and returns their ids.
type reader func(match func(*sql.Selector)) (ids []any, err error)

// A batch is some rows of one signal type on their way from the table to the
// sender:
//
//	fetch: which rows there are      send: what became of each
//	─▶ rows, undecodable, blocked ─▶ results ─▶ what to delete, and what to note
//
// Only one goroutine uses it at a time.
type batch struct {
	signal  *signalType
	mode    entsignal.Mode
	sel     selection
	stopped func(context.Context) error // why the bus should send nothing else, or nil
	traced  func(ctx context.Context, b entsignal.Batch, send func(context.Context) error) error

	rows        table.Rows      // nil: there are none
	undecodable []retry.Attempt // in an ordered flush only the row behind rows
	blocked     error           // why an ordered flush can't send the row behind rows

	// With several keys, the rows are without these keys, or without the end of them:
	busy    []int         // another ordered flush has locked their order; then nothing was claimed
	held    []int         // another transaction holds one of their rows
	waiting map[int]error // their next row may not be sent now

	mayBegin func() bool // called once, before the sender; nil means yes
	called   bool        // the sender was called
	results  []rowResult // of rows, after send
	places   map[any]int // indexes of the ids in results, filled on demand
}

// A rowResult is what became of one row.
type rowResult struct {
	id  any
	err error // nil: sent
	own bool  // the error is about this very row
}

// newBatch returns a batch of the rows that sel selects.
func (e *Engine) newBatch(t *signalType, mode entsignal.Mode, sel selection) *batch {
	return &batch{signal: t, mode: mode, sel: sel, stopped: e.stopped, traced: e.traced}
}

func (b *batch) ordered() bool { return b.mode == entsignal.ModeFlushOrdered }

// only returns the id of the only row of the batch, or nil if there may be several, or
// other entities are read with it. A flush often finds that the row is gone, where two
// steps are the cheaper way.
func (b *batch) only() any {
	if b.mode != entsignal.ModeAutoFlush || len(b.sel.ids) != 1 || b.signal.LoadsEdges() {
		return nil
	}
	return b.sel.ids[0]
}

func (b *batch) ids() []any {
	if b.rows == nil {
		return nil
	}
	return b.rows.IDs()
}

// errMoved makes an ordered claim start over.
var errMoved = errors.New("a signal was changed while it was claimed, so its place in the order may be another one now")

// fetch reads the rows; see [database.Claim].
func (b *batch) fetch(ctx context.Context, drv dialect.Driver, lock func(*sql.Selector)) ([]any, error) {
	b.rows, b.undecodable, b.blocked = nil, nil, nil
	b.busy, b.held, b.waiting = nil, nil, nil
	read := func(match func(*sql.Selector)) ([]any, error) {
		return b.read(ctx, drv, func(s *sql.Selector) {
			match(s)
			b.alive(s)
		}, lock)
	}
	var err error
	if b.sel.pick != nil {
		err = b.sel.pick(drv, read)
	} else if _, err = read(b.signal.Columns().Listed(drv, b.sel.ids)); err == nil {
		b.arrange(b.sel.ids)
	}
	switch {
	case err != nil:
	case b.several():
		err = b.leaveOutKeys(ctx, drv, time.Now())
	default:
		err = b.leaveOutWaiting(time.Now())
	}
	return b.ids(), err
}

// alive leaves out dead rows, if the batch skips them.
func (b *batch) alive(s *sql.Selector) {
	if b.sel.skipDead && b.signal.Retry() != nil {
		retry.IsAlive(s)
	}
}

// read reads the rows that match, and returns all their ids. Of rows that can't be
// decoded the batch has only the ids.
func (b *batch) read(ctx context.Context, drv dialect.Driver, match, lock func(*sql.Selector)) ([]any, error) {
	locked := func(s *sql.Selector) {
		match(s)
		lock(s)
	}
	query := locked
	if b.ordered() && b.signal.info.OrderKey == "" {
		query = func(s *sql.Selector) {
			locked(s)
			b.signal.Columns().SelectPlace(s)
		}
	}
	watched := b.ordered() && b.signal.Columns().Movable(drv)
	if watched {
		query = func(s *sql.Selector) {
			b.signal.Columns().WatchMoves(s, match)
			s.ForUpdate(sql.WithLockTables(b.signal.info.Table)) // and not what it is joined with
		}
	}
	rows, err := b.signal.Load(ctx, drv, query)
	switch {
	case err == nil && watched && rows.Moved():
		return nil, errMoved
	case err == nil:
		b.take(rows)
		return b.ids(), nil
	case !isUndecodable(err), b.several(): // each key is tried alone
		return nil, err
	}
	found, stateErr := b.signal.States(ctx, drv, locked)
	if stateErr != nil {
		return nil, errors.Join(stateErr, err)
	}
	ids := make([]any, len(found))
	for i, row := range found {
		ids[i] = row.ID
	}
	return ids, b.readDecodable(ctx, drv, found)
}

// take sets the rows of the batch.
func (b *batch) take(rows table.Rows) {
	b.rows = rows
	b.signal.weight.note(rows.Size())
}

// readDecodable reads the rows that can be decoded, and notes the others. In an
// ordered flush it reads only the rows before the first one that can't be decoded.
func (b *batch) readDecodable(ctx context.Context, drv dialect.Driver, found []table.RowState) error {
	if b.heedsRetry() {
		now := time.Now()
		waits := func(row table.RowState) bool { return !row.Retry.Due(now) }
		if i := slices.IndexFunc(found, waits); !b.ordered() {
			found = slices.DeleteFunc(found, waits)
		} else if i >= 0 {
			b.blocked = found[i].Retry.Blocked(b.signal.IDText(found[i].ID))
			if i == 0 {
				return b.blocked
			}
			found = found[:i]
		}
	}
	ids := make([]any, len(found))
	for i, row := range found {
		ids[i] = row.ID
	}
	bad, err := b.signal.findUndecodable(ctx, drv, ids, b.ordered())
	if err != nil {
		return err
	}
	good := ids
	if len(bad) > 0 {
		good = nil
		next := 0
		for _, row := range bad {
			good = append(good, ids[next:row.at]...)
			next = row.at + 1
			b.undecodable = append(b.undecodable, retry.Attempt{ID: ids[row.at], State: found[row.at].Retry, Err: row.err})
		}
		if !b.ordered() {
			good = append(good, ids[next:]...)
		} else {
			b.blocked = nil
		}
	}
	if len(good) == 0 {
		return nil
	}
	rows, err := b.signal.Load(ctx, drv, b.signal.Columns().Listed(drv, good))
	if err != nil {
		return err
	}
	b.take(rows)
	b.arrange(good)
	return nil
}

// heedsRetry reports whether the batch leaves out rows that wait for their next
// attempt or are dead. Send of a client sends them too.
func (b *batch) heedsRetry() bool { return b.signal.Retry() != nil && b.mode != entsignal.ModeSend }

// leaveOutWaiting leaves out rows that may not be sent now. An ordered flush sends
// nothing behind the first such row, and fails if it is the first of all rows.
func (b *batch) leaveOutWaiting(now time.Time) error {
	if b.rows == nil || !b.heedsRetry() {
		return nil
	}
	var due []int
	all := len(b.ids())
	for i := range all {
		state := b.rows.State(i)
		switch {
		case state.Due(now):
			due = append(due, i)
			continue
		case !b.ordered():
			continue
		}
		b.blocked = state.Blocked(b.rows.IDText(i))
		if i == 0 {
			b.rows = nil
			return b.blocked
		}
		break
	}
	if len(due) < all {
		b.rows = b.rows.Pick(due)
	}
	return nil
}

// arrange sorts the rows in the order of the ids.
func (b *batch) arrange(ids []any) {
	if len(b.ids()) < 2 {
		return
	}
	rank := make(map[any]int, len(ids))
	for i, id := range slices.Backward(ids) { // of duplicates, the first counts
		rank[database.Comparable(id)] = i
	}
	order := make([]int, len(b.ids()))
	for i := range order {
		order[i] = i
	}
	place := func(i int) int { return rank[database.Comparable(b.ids()[i])] }
	slices.SortStableFunc(order, func(i, j int) int { return place(i) - place(j) })
	b.rows = b.rows.Pick(order)
}

// send passes the rows to the sender; see [database.Claim].
func (b *batch) send(ctx context.Context, deleted []any, refused []database.Refusal) database.Outcome {
	rows, results := b.divide(deleted, refused)
	found := bisect.Result{}
	if rows != nil {
		if b.mayBegin != nil && !b.mayBegin() {
			return database.Outcome{Err: context.Canceled}
		}
		b.called = true
		found = b.bisection(rows).Run(ctx, len(rows.IDs()))
		for i, id := range rows.IDs() {
			results[i] = rowResult{id, found.Outcomes[i].Err, found.Outcomes[i].Own}
		}
	}
	out := b.conclude(results)
	if found.Whole != nil && len(refused) == 0 {
		out.Err = found.Whole
	}
	return out
}

// divide moves the rows that were deleted to the front, and returns them, or nil if
// there are none. It also returns a result for each row. Rows that can't be sent
// already have their error there: their deletion was refused, or they are behind
// such a row.
func (b *batch) divide(deleted []any, refused []database.Refusal) (rows table.Rows, results []rowResult) {
	results = make([]rowResult, len(b.ids()))
	if len(refused) == 0 {
		return b.rows, results
	}
	why := make(map[any]rowResult, len(refused))
	for _, r := range refused {
		why[database.Comparable(r.ID)] = rowResult{r.ID, fmt.Errorf("the database refuses its deletion, so it is not sent: %w", r.Err), r.Own}
	}
	gone := make(map[any]bool, len(deleted))
	for _, id := range deleted {
		gone[database.Comparable(id)] = true
	}
	var first, rest []int
	for i, id := range b.ids() {
		if gone[database.Comparable(id)] {
			first = append(first, i)
		} else {
			rest = append(rest, i)
		}
	}
	if len(first) > 0 {
		rows = b.rows.Pick(first)
	}
	b.rows = b.rows.Pick(append(first, rest...))
	for i := len(first); i < len(results); i++ {
		id := b.ids()[i]
		r, ok := why[database.Comparable(id)]
		if !ok {
			r = rowResult{id: id, err: entsignal.ErrNotTried}
		}
		results[i] = r
	}
	return rows, results
}

// bisection returns the search for rows that can't be sent.
func (b *batch) bisection(rows table.Rows) bisect.Batch {
	items := make([]entsignal.Item, len(rows.IDs()))
	for i := range items {
		items[i] = itemOf(rows, i)
	}
	return bisect.Batch{
		Send: func(ctx context.Context, part bisect.Span) error {
			meta := entsignal.Batch{Signal: b.signal.info, Mode: b.mode, Items: slices.Clone(items[part.From:part.To])}
			return b.traced(ctx, meta, func(ctx context.Context) error {
				return rows.Send(sending.WithBatch(ctx, meta), part.From, part.To)
			})
		},
		Stopped: b.stopped,
		Ended:   endOf,
		Refused: b.sel.refused,
		Ordered: b.ordered(),
	}
}

// conclude sets the results, and returns the outcome for the claim.
func (b *batch) conclude(results []rowResult) (out database.Outcome) {
	b.results = results
	var failed []retry.Attempt
	errs := make([]error, len(results))
	for i, r := range results {
		switch {
		case r.err == nil:
			out.Sent = append(out.Sent, r.id)
			continue
		case r.own && b.signal.Retry() != nil:
			a := retry.Attempt{ID: r.id, State: b.rows.State(i), Err: r.err}
			failed = append(failed, a)
			errs[i] = b.describe(a)
		default:
			errs[i] = fmt.Errorf("id %s: %w", quote.ID(b.rows.IDText(i)), r.err)
		}
		results[i].err = errs[i]
	}
	if failed != nil {
		out.Changes = b.signal.Retry().Changes(failed, time.Now())
	}
	if out.Err = b.blocked; len(out.Sent) < len(results) {
		out.Err = &entsignal.BatchError{Errors: errs}
	}
	return out
}

// describe returns the error of an attempt with the id and the number of the
// attempt.
func (b *batch) describe(a retry.Attempt) error {
	id := quote.ID(b.signal.IDText(a.ID))
	if p := b.signal.Retry(); p != nil && !errors.Is(a.Err, entsignal.ErrNotTried) {
		return fmt.Errorf("id %s (%s): %w", id, p.Describe(a), a.Err)
	}
	return fmt.Errorf("id %s: %w", id, a.Err)
}
