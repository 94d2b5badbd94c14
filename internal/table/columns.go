package table

import (
	"fmt"
	"reflect"
	"time"

	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/sql"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/internal/database"
	"github.com/entsignal/signalbus/internal/retry"
	"github.com/entsignal/signalbus/internal/trace"
)

// Columns builds the conditions that select the rows of a signal.
type Columns struct {
	ID      string
	Key     string // empty if there is no OrderKey
	Order   []entsignal.OrderTerm
	IDType  reflect.Type
	Counted bool // the database stores the ids as whole numbers
	Retry   bool // the columns of mixin.Retry exist

	Compares bool // MySQL compares the columns of the order as it sorts them
}

// Listed matches the rows with these ids, sorted by id, for a query with drv.
func (c Columns) Listed(drv dialect.Driver, ids []any) func(*sql.Selector) {
	return func(s *sql.Selector) { database.Listed(drv, s, c.ID, c.Counted, ids) }
}

// Span matches the first rows above after and up to top, by id. nil means no limit.
func (c Columns) Span(after, top any, limit int) func(*sql.Selector) {
	return func(s *sql.Selector) {
		if after != nil {
			s.Where(sql.GT(s.C(c.ID), after))
		}
		if top != nil {
			s.Where(database.UpTo(s, c.ID, top))
		}
		s.OrderBy(s.C(c.ID)).Limit(limit)
	}
}

// Due matches the rows of a Span that may be sent now.
func (c Columns) Due(after, top any, limit int) func(*sql.Selector) {
	return func(s *sql.Selector) {
		c.Span(after, top, limit)(s)
		if c.Retry {
			retry.IsDue(time.Now())(s)
		}
	}
}

// First matches the row with the lowest id that isn't dead.
func (c Columns) First() func(*sql.Selector) {
	return func(s *sql.Selector) {
		c.alive(s)
		c.Span(nil, nil, 1)(s)
	}
}

func (c Columns) alive(s *sql.Selector) {
	if c.Retry {
		retry.IsAlive(s)
	}
}

// FirstRecorded matches the row that was recorded first and isn't dead, as far as
// mixin.Trace says, by looking at all rows.
func (c Columns) FirstRecorded() func(*sql.Selector) {
	return func(s *sql.Selector) {
		c.alive(s)
		at := s.C(trace.FieldRecordedAt)
		s.Where(sql.NotNull(at)).OrderBy(at, s.C(c.ID)).Limit(1)
	}
}

// Last matches the row with the highest id.
func (c Columns) Last() func(*sql.Selector) {
	return func(s *sql.Selector) { s.OrderBy(sql.Desc(s.C(c.ID))).Limit(1) }
}

// IsSorted reports whether the order begins with another field than the id. Then a
// row's place in it may change.
func (c Columns) IsSorted() bool { return len(c.Order) > 0 && c.Order[0].Field() != c.ID }

// Movable reports whether a row that drv locks may be returned in a place of the
// order where it no longer belongs.
func (c Columns) Movable(drv dialect.Driver) bool { return c.IsSorted() && database.RowsMove(drv) }

// WatchMoves matches the rows that pick matches, in the order of the signal, for a
// query that locks them. It marks rows that have moved; see [Rows.Moved].
func (c Columns) WatchMoves(s *sql.Selector, pick func(*sql.Selector)) {
	database.MarkMoved(s, c.ID, pick, c.sort)
	c.SelectPlace(s)
}

// Unordered returns why the order is unrelated to the order in which signals are
// recorded, or an empty string. terms is the order in ent fields.
func (c Columns) Unordered(terms []entsignal.OrderTerm) string {
	switch {
	case len(c.Order) > 0 && c.Order[0] != entsignal.OrderTerm(c.ID):
		return fmt.Sprintf("it is ordered by %q first: a signal that is committed later may belong before those that were sent", terms[0])
	case !c.Counted:
		return fmt.Sprintf("its ids, of type %s, are not counted up by the database", c.IDType)
	default:
		return ""
	}
}

// OfKey matches the rows of a key, in their order, with ids up to top. nil means no
// limit.
func (c Columns) OfKey(key, top any) func(*sql.Selector) {
	return func(s *sql.Selector) {
		if key == nil { // the schema forbids NULL, but the table may allow it
			s.Where(sql.IsNull(s.C(c.Key)))
		} else {
			s.Where(sql.EQ(s.C(c.Key), key))
		}
		if top != nil {
			s.Where(database.UpTo(s, c.ID, top))
		}
		c.sort(s)
	}
}

// Between returns an id between two others, if ids are whole numbers.
func (c Columns) Between(low, high any, part float64) (id any, ok bool) {
	if !c.Counted || low == nil || high == nil {
		return nil, false
	}
	l, h := reflect.ValueOf(low), reflect.ValueOf(high)
	middle := reflect.New(l.Type()).Elem()
	switch {
	case l.CanInt() && h.CanInt():
		middle.SetInt(l.Int() + int64(part*float64(h.Int()-l.Int())))
	case l.CanUint() && h.CanUint():
		middle.SetUint(l.Uint() + uint64(part*float64(h.Uint()-l.Uint())))
	default:
		return nil, false
	}
	return middle.Interface(), true
}
