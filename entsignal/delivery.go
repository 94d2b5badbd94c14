package entsignal

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"
	"time"

	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/sql"
	"entgo.io/ent/privacy"

	"github.com/entsignal/signalbus/internal/database"
	"github.com/entsignal/signalbus/internal/foreign"
)

// batch is a batch of one signal type on its way.
type batch interface {
	database.Batch
	// fetched returns how many rows were found.
	fetched() int
	// result tells of some of the rows how many were sent, and why the others
	// stay. It is for a batch that a claim has delivered.
	result(ids []any) (sent int, err error)
	// undecodable returns what to note in rows that can't be decoded. It is for a
	// batch that a claim has delivered; so is explained.
	undecodable() []database.Change
	// explained returns the error of a claim together with those of such rows.
	explained(err error) error
	// started reports whether the sender was called. From then on the batch
	// must not be tried again.
	started() bool
	// undecided returns the ids of several rows of which the batch doesn't tell
	// whether each of them can be sent.
	undecided() []any
	// key returns the text of the key that the rows have in common, or nothing.
	key() string
	// mode says which way of sending the batch is of.
	mode() Mode
}

// A selection decides which rows a batch takes: either those with the ids, in
// their order, or those that pick picks.
type selection struct {
	ids []any
	// pick calls read with what to match, and sees the ids of the rows that
	// came. When a batch is tried again, pick is called again.
	pick func(drv dialect.Driver, read reader) error
	// key is the text of the key that all these rows have, if the order is one
	// of keys.
	key string
	// skipDead makes an ordered flush pass the rows that are parked.
	skipDead bool
	// refused, if set, takes each call of the sender that failed, for so many
	// signals, and reports whether to take the batch apart.
	refused func(signals int) bool
}

// reader reads the rows that match and returns their ids.
type reader func(match func(*sql.Selector)) (ids []any, err error)

// delivery is a batch with the Go types of its signal.
type delivery[C, T, ID any, Q Query[T]] struct {
	signal *signal[C, T, ID, Q]
	meta   Batch
	sel    selection

	rows    []T
	ids     []any
	ranks   map[any]int // of the ids, once somebody asks
	bad     []failure   // rows that can't be decoded; in an ordered flush the one behind rows
	blocked error       // why an ordered flush can't take the row behind rows
	called  bool
	errs    []error // after Send: why a row stays; nil for one that goes
	untried []any   // of these, those that were not tried alone
	refused []refusedRow[T]
	changes []database.Change
}

func (d *delivery[C, T, ID, Q]) fetched() int  { return len(d.rows) }
func (d *delivery[C, T, ID, Q]) started() bool { return d.called }
func (d *delivery[C, T, ID, Q]) key() string   { return d.sel.key }
func (d *delivery[C, T, ID, Q]) mode() Mode    { return d.meta.Mode }

func (d *delivery[C, T, ID, Q]) undecided() []any {
	switch {
	case len(d.ids) < 2:
		return nil
	case d.called:
		return d.untried
	default:
		return d.ids
	}
}

func (d *delivery[C, T, ID, Q]) result(ids []any) (sent int, _ error) {
	// Of a shared batch each commit asks.
	if d.ranks == nil {
		d.ranks = make(map[any]int, len(d.ids)+len(d.bad))
		for i, id := range d.ids {
			d.ranks[comparableID(id)] = i
		}
		for i, f := range d.bad {
			d.ranks[comparableID(f.id)] = len(d.ids) + i
		}
	}
	var errs []error
	failed := false
	for _, id := range ids {
		i, ok := d.ranks[comparableID(id)]
		if !ok { // gone before, or another's
			continue
		}
		var err error
		switch {
		case i >= len(d.ids):
			err = d.failed(d.bad[i-len(d.ids)])
		case d.errs != nil:
			err = d.errs[i]
		}
		if err == nil {
			sent++
		}
		failed = failed || err != nil
		errs = append(errs, err)
	}
	switch {
	case !failed:
		return sent, nil
	case len(errs) == 1:
		return sent, errs[0]
	default:
		return sent, &BatchError{Errors: errs}
	}
}

// Table implements the dialect's Batch.
func (d *delivery[C, T, ID, Q]) Table() database.Table { return d.signal.table() }

// Fetch implements the dialect's Batch.
func (d *delivery[C, T, ID, Q]) Fetch(ctx context.Context, drv dialect.Driver, lock func(*sql.Selector)) (int, error) {
	d.rows, d.ids, d.bad, d.refused, d.blocked = nil, nil, nil, nil, nil
	watched := d.meta.Mode == ModeFlushOrdered && movable(drv, d.signal.columns())
	read := func(match func(*sql.Selector)) ([]any, error) {
		pick := func(s *sql.Selector) {
			match(s)
			if d.sel.skipDead && d.signal.Retry != nil {
				isAlive(s)
			}
		}
		locked := func(s *sql.Selector) {
			pick(s)
			lock(s)
		}
		if !watched {
			return d.read(ctx, drv, locked, nil)
		}
		return d.read(ctx, drv, locked, func(s *sql.Selector) {
			d.signal.columns().watchMoves(s, pick)
			s.ForUpdate(sql.WithLockTables(d.signal.Table)) // and not what it is joined with
		})
	}
	var err error
	if d.sel.pick != nil {
		err = d.sel.pick(drv, read)
	} else {
		_, err = read(d.signal.columns().listed(drv, d.sel.ids))
		d.arrange(d.sel.ids)
	}
	if err == nil && d.signal.Retry != nil {
		err = d.leaveOut(time.Now())
	}
	return len(d.rows), err
}

// errMoved makes an ordered claim start anew.
var errMoved = errors.New("a signal was changed while it was claimed, and may belong elsewhere in the order")

// movable reports whether a row that drv locks may come in a place of the order
// where it doesn't belong anymore.
func movable(drv dialect.Driver, c columns) bool {
	return c.movable() && drv.Dialect() == dialect.Postgres
}

// read reads the rows that match, and returns the ids of all of them. In rows
// that can't be decoded a batch has no more than their ids. watched, if it is not
// nil, matches as match does, and marks rows that have moved.
func (d *delivery[C, T, ID, Q]) read(ctx context.Context, drv dialect.Driver, match, watched func(*sql.Selector)) ([]any, error) {
	query := match
	if watched != nil {
		query = watched
	}
	rows, ids, err := d.signal.load(ctx, drv, query)
	switch {
	case err == nil && watched != nil && slices.ContainsFunc(rows, func(row T) bool { return hasMoved(row) }):
		return nil, errMoved
	case err == nil:
		d.rows, d.ids = rows, ids
		weigh(&d.signal.rows, d.rows)
		return d.ids, nil
	case !isUndecodable(err):
		return nil, err
	}
	found, stateErr := d.signal.states(ctx, drv, match)
	if stateErr != nil {
		return nil, errors.Join(stateErr, err)
	}
	all := make([]any, len(found))
	for i, row := range found {
		all[i] = row.id
	}
	return all, d.readDecodable(ctx, drv, found)
}

// readDecodable reads those of the rows that can be decoded, and notes the
// others. Of an ordered flush these are the ones before the first that can't.
func (d *delivery[C, T, ID, Q]) readDecodable(ctx context.Context, drv dialect.Driver, found []rowState) error {
	ordered := d.meta.Mode == ModeFlushOrdered
	if d.signal.Retry != nil && d.meta.Mode != ModeSend {
		now := time.Now()
		waits := func(row rowState) bool { return !row.retry.due(now) }
		if i := slices.IndexFunc(found, waits); !ordered {
			found = slices.DeleteFunc(found, waits)
		} else if i >= 0 {
			d.blocked = found[i].retry.blocked(d.signal.textOf(found[i].id))
			if i == 0 {
				return d.blocked
			}
			found = found[:i]
		}
	}
	ids := make([]any, len(found))
	for i, row := range found {
		ids[i] = row.id
	}
	bad, err := d.signal.undecodable(ctx, drv, ids, ordered)
	if err != nil {
		return err
	}
	good := ids
	if len(bad) > 0 {
		good = nil
		next := 0
		for _, b := range bad {
			good = append(good, ids[next:b.at]...)
			next = b.at + 1
			d.bad = append(d.bad, failure{id: ids[b.at], state: found[b.at].retry, err: b.err})
		}
		if !ordered {
			good = append(good, ids[next:]...)
		} else {
			d.blocked = nil
		}
	}
	if len(good) == 0 {
		return nil
	}
	d.rows, d.ids, err = d.signal.load(ctx, drv, d.signal.columns().listed(drv, good))
	d.arrange(good)
	weigh(&d.signal.rows, d.rows)
	return err
}

// failed returns the error of a row as the batch tells it.
func (d *delivery[C, T, ID, Q]) failed(f failure) error {
	id := showID(d.signal.textOf(f.id))
	if d.signal.Retry != nil && !errors.Is(f.err, ErrNotTried) {
		return fmt.Errorf("id %s (%s): %w", id, d.signal.Retry.attempt(f), f.err)
	}
	return fmt.Errorf("id %s: %w", id, f.err)
}

// blames reports whether it is the turn of the rows that can't be decoded: what
// has failed before them in an ordered flush comes first.
func (d *delivery[C, T, ID, Q]) blames() bool {
	return len(d.bad) > 0 && (d.meta.Mode != ModeFlushOrdered || d.errs == nil)
}

func (d *delivery[C, T, ID, Q]) undecodable() []database.Change {
	if !d.blames() || d.signal.Retry == nil {
		return nil
	}
	bad := slices.DeleteFunc(slices.Clone(d.bad), func(f failure) bool { return errors.Is(f.err, ErrNotTried) })
	return d.signal.Retry.changes(bad, time.Now())
}

func (d *delivery[C, T, ID, Q]) explained(err error) error {
	if !d.blames() {
		return err
	}
	errs := make([]error, len(d.bad))
	for i, f := range d.bad {
		errs[i] = d.failed(f)
	}
	switch part := err.(type) { //nolint:errorlint // as Send returns it
	case nil:
		return &BatchError{Errors: append(make([]error, len(d.rows)), errs...)}
	case *BatchError:
		return &BatchError{Errors: slices.Concat(part.Errors, errs)}
	default:
		return errors.Join(err, &BatchError{Errors: errs})
	}
}

// leaveOut leaves out the rows that may not be sent now. An ordered flush sends
// nothing behind the first of them, and fails if that is the first of all. Send
// of a client sends what it is asked to.
func (d *delivery[C, T, ID, Q]) leaveOut(now time.Time) error {
	if d.meta.Mode == ModeSend {
		return nil
	}
	rows, ids := d.rows, d.ids
	d.rows, d.ids = nil, nil
	for i, row := range rows {
		state := d.signal.retryState(row)
		switch {
		case state.due(now):
			d.rows, d.ids = append(d.rows, row), append(d.ids, ids[i])
		case d.meta.Mode != ModeFlushOrdered:
		case i == 0:
			return state.blocked(d.signal.text(row, ids[i]))
		default:
			d.blocked = state.blocked(d.signal.text(row, ids[i]))
			return nil
		}
	}
	return nil
}

// arrange puts the rows in the order of the ids.
func (d *delivery[C, T, ID, Q]) arrange(ids []any) {
	if len(d.rows) < 2 {
		return
	}
	rank := make(map[any]int, len(ids))
	for i, id := range slices.Backward(ids) { // the first of several counts
		rank[comparableID(id)] = i
	}
	places := make([]int, len(d.rows))
	for i, id := range d.ids {
		places[i] = rank[comparableID(id)]
	}
	sort.Stable(&byPlace[T]{places, d.rows, d.ids})
}

// byPlace sorts rows, and their ids, by their places.
type byPlace[T any] struct {
	places []int
	rows   []T
	ids    []any
}

func (s *byPlace[T]) Len() int           { return len(s.places) }
func (s *byPlace[T]) Less(i, j int) bool { return s.places[i] < s.places[j] }
func (s *byPlace[T]) Swap(i, j int) {
	s.places[i], s.places[j] = s.places[j], s.places[i]
	s.rows[i], s.rows[j] = s.rows[j], s.rows[i]
	s.ids[i], s.ids[j] = s.ids[j], s.ids[i]
}

// refusedRow is a row that is not given to the sender.
type refusedRow[T any] struct {
	row T
	id  any
	outcome
}

// Refuse implements the dialect's Batch.
func (d *delivery[C, T, ID, Q]) Refuse(refused []database.Refusal) {
	of := make(map[any]outcome, len(refused))
	for _, r := range refused {
		of[comparableID(r.ID)] = outcome{err: fmt.Errorf("the database refuses its deletion, so it is not sent: %w", r.Err), blame: r.Own}
	}
	rows, ids := d.rows, d.ids
	d.rows, d.ids = nil, nil
	for i, row := range rows {
		o, found := of[comparableID(ids[i])]
		if !found && len(d.refused) > 0 && d.meta.Mode == ModeFlushOrdered {
			o, found = outcome{err: ErrNotTried}, true
		}
		if found {
			d.refused = append(d.refused, refusedRow[T]{row, ids[i], o})
		} else {
			d.rows, d.ids = append(d.rows, row), append(d.ids, ids[i])
		}
	}
}

// Send implements the dialect's Batch.
func (d *delivery[C, T, ID, Q]) Send(ctx context.Context) (int, error) {
	items := make([]Item, len(d.rows))
	for i, row := range d.rows {
		items[i].ID = d.signal.text(row, d.ids[i])
	}
	p := parting{
		send: func(ctx context.Context, part span) error {
			meta := d.meta
			meta.Items = slices.Clone(items[part.from:part.to])
			// The sender gets a copy: one that sorts what it gets must not
			// change which row is which.
			rows := slices.Clone(d.rows[part.from:part.to])
			return callSender(func() error { return d.signal.Sender(withBatch(ctx, meta), rows) })
		},
		stopped: d.signal.stopped,
		refused: d.sel.refused,
		ordered: d.meta.Mode == ModeFlushOrdered,
	}
	if len(d.rows) > 0 {
		d.called = true
		p.run(ctx, len(d.rows))
	}
	for _, r := range d.refused {
		d.rows, d.ids = append(d.rows, r.row), append(d.ids, r.id)
		p.outcomes = append(p.outcomes, r.outcome)
		items = append(items, Item{ID: d.signal.text(r.row, r.id)})
	}
	if p.sent == len(d.rows) {
		return p.sent, d.blocked
	}
	d.errs = make([]error, len(d.rows))
	var failed []failure
	for i, o := range p.outcomes {
		if o.err != nil && !o.blame {
			d.untried = append(d.untried, d.ids[i])
		}
		switch {
		case o.err == nil:
		case o.blame && d.signal.Retry != nil:
			f := failure{id: d.ids[i], state: d.signal.retryState(d.rows[i]), err: o.err}
			failed = append(failed, f)
			d.errs[i] = d.failed(f)
		default:
			d.errs[i] = fmt.Errorf("id %s: %w", showID(items[i].ID), o.err)
		}
	}
	if failed != nil {
		d.changes = d.signal.Retry.changes(failed, time.Now())
	}
	if p.whole != nil && d.refused == nil {
		return p.sent, p.whole
	}
	return p.sent, &BatchError{Errors: d.errs}
}

// partlySent returns the BatchError that a sender returned, and the mark that
// the sender put around it. It doesn't look into joined errors, nor into those
// of another flush or of a panic: what they say was sent is not this batch.
func partlySent(err error) (part *BatchError, mark func(error) error) {
	mark = func(err error) error { return err }
	for ; err != nil; err = errors.Unwrap(err) {
		switch err := err.(type) { //nolint:errorlint // the walk itself
		case *BatchError:
			return err, mark
		case *FlushError, *foreign.PanicError:
			return nil, mark
		case *unavailableError:
			mark = Unavailable
		case *permanentError:
			mark = Permanent
		}
	}
	return nil, mark
}

// Done implements the dialect's Batch.
func (d *delivery[C, T, ID, Q]) Done() []any {
	if d.errs == nil {
		return d.ids
	}
	var sent []any
	for i, id := range d.ids {
		if d.errs[i] == nil {
			sent = append(sent, id)
		}
	}
	return sent
}

// Changes implements the dialect's Batch.
func (d *delivery[C, T, ID, Q]) Changes() []database.Change { return d.changes }

// allowed passes by the project's privacy rules: they say what its users may
// see, and the bus is none of them.
func allowed(ctx context.Context) context.Context {
	return privacy.DecisionContext(ctx, privacy.Allow)
}
