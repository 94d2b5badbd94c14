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

	dbdialect "github.com/entsignal/signalbus/entsignal/internal/dialect"
	"github.com/entsignal/signalbus/internal/foreign"
)

// batch is a batch of one signal type on its way.
type batch interface {
	dbdialect.Batch
	// fetched returns how many rows were found.
	fetched() int
	// result tells of some of the rows how many were sent, and why the others
	// stay. It is for a batch that a claim has delivered.
	result(ids []any) (sent int, err error)
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
type delivery[C, T, ID any, Q Query[T, ID]] struct {
	signal *signal[C, T, ID, Q]
	meta   Batch
	sel    selection

	rows    []T
	ids     []any
	ranks   map[any]int // of the ids, once somebody asks
	blocked error       // why an ordered flush can't take the row behind rows
	called  bool
	errs    []error // after Send: why a row stays; nil for one that goes
	untried []any   // of these, those that were not tried alone
	refused []refusedRow[T]
	changes []dbdialect.Change
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
		d.ranks = make(map[any]int, len(d.ids))
		for i, id := range d.ids {
			d.ranks[comparableID(id)] = i
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
		if d.errs != nil {
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
func (d *delivery[C, T, ID, Q]) Table() dbdialect.Table { return d.signal.table() }

// Fetch implements the dialect's Batch.
func (d *delivery[C, T, ID, Q]) Fetch(ctx context.Context, drv dialect.Driver, lock func(*sql.Selector)) (int, error) {
	m := &d.signal.Model
	watched := d.meta.Mode == ModeFlushOrdered && movable(drv, d.signal.columns())
	read := func(match func(*sql.Selector)) (_ []any, err error) {
		pick := func(s *sql.Selector) {
			match(s)
			if d.sel.skipDead && m.Retry != nil {
				isAlive(s)
			}
		}
		q := m.Query(d.signal.config, drv, func(s *sql.Selector) {
			if watched {
				d.signal.columns().watchMoves(s, pick)
				s.ForUpdate(sql.WithLockTables(d.signal.Table)) // and not what it is joined with
			} else {
				pick(s)
				lock(s)
			}
			if m.Retry != nil {
				selectTimes(s)
			}
		})
		for _, load := range []func(Q){m.Children, m.With} {
			if load != nil {
				load(q)
			}
		}
		if d.rows, err = q.All(allowed(ctx)); err != nil {
			return nil, err
		}
		d.ids = make([]any, len(d.rows))
		for i, row := range d.rows {
			if watched && hasMoved(row) {
				return nil, errMoved
			}
			if d.ids[i], err = d.signal.storedIDOf(row); err != nil {
				return nil, err
			}
		}
		weigh(&d.signal.rows, d.rows)
		return d.ids, nil
	}
	d.rows, d.ids = nil, nil
	var err error
	if d.sel.pick != nil {
		err = d.sel.pick(drv, read)
	} else {
		_, err = read(d.signal.columns().listed(drv, d.sel.ids))
		d.arrange()
	}
	if err == nil && m.Retry != nil {
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

// arrange puts the rows in the order of the selection's ids.
func (d *delivery[C, T, ID, Q]) arrange() {
	if len(d.rows) < 2 {
		return
	}
	rank := make(map[any]int, len(d.sel.ids))
	for i, id := range slices.Backward(d.sel.ids) { // the first of several counts
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
func (d *delivery[C, T, ID, Q]) Refuse(refused []dbdialect.Refusal) {
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
			d.errs[i] = fmt.Errorf("id %s (%s): %w", showID(items[i].ID), d.signal.Retry.attempt(f), o.err)
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
func (d *delivery[C, T, ID, Q]) Changes() []dbdialect.Change { return d.changes }

// allowed passes by the project's privacy rules: they say what its users may
// see, and the bus is none of them.
func allowed(ctx context.Context) context.Context {
	return privacy.DecisionContext(ctx, privacy.Allow)
}
