package table

import (
	"slices"

	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/sql"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/internal/database"
	"github.com/entsignal/signalbus/internal/retry"
)

// A Place is where a row is in the order of its signal: the values of the columns
// that it is sorted by. The last is the id.
type Place []any

// terms returns what rows are sorted by. The last term is the id.
func (c Columns) terms() []entsignal.OrderTerm {
	if n := len(c.Order); n > 0 && c.Order[n-1].Field() == c.ID {
		return c.Order
	}
	return append(slices.Clip(c.Order), entsignal.OrderTerm(c.ID))
}

// sort sorts by the order of the signal.
func (c Columns) sort(s *sql.Selector) {
	for _, term := range c.terms() {
		if term.Descending() {
			s.OrderBy(sql.Desc(s.C(term.Field())))
		} else {
			s.OrderBy(s.C(term.Field()))
		}
	}
}

// Head matches the first rows in the order of the signal.
func (c Columns) Head(limit int) func(*sql.Selector) { return c.Stretch(Stretch{Limit: limit}) }

// Indexed returns the order as an index has to serve it.
func (c Columns) Indexed() database.IndexedOrder {
	o := database.IndexedOrder{Key: c.Key}
	for _, term := range c.terms() {
		o.Terms = append(o.Terms, database.Sorted{Column: term.Field(), Desc: term.Descending()})
	}
	return o
}

// HasPlaces reports whether a query with drv can continue behind a [Place].
func (c Columns) HasPlaces(drv dialect.Driver) bool {
	return !c.IsSorted() || c.Compares || drv.Dialect() != dialect.MySQL
}

// placed returns the columns of a place, except for the id.
func (c Columns) placed() []string {
	terms := c.terms()
	columns := make([]string, len(terms)-1)
	for i := range columns {
		columns[i] = terms[i].Field()
	}
	return columns
}

// SelectPlace makes a query of entities select what [Rows.Place] returns.
func (c Columns) SelectPlace(s *sql.Selector) { database.SelectPlace(s, c.placed()) }

// A Stretch is a part of the rows in the order of the signal.
type Stretch struct {
	After Place // the rows behind it; nil: all rows
	Limit int   // the first ones, so many
	Alive bool  // not those that are dead
}

// Stretch matches the rows of a stretch, in their order.
//
// Behind a place are the rows with the same values and a higher id, those with the
// same values but for the last column before it, and so on. If all columns are sorted
// in the same direction, one comparison says that. Otherwise each of these parts is
// one range of the index. MySQL finds the ranges itself. Elsewhere the parts are
// queried in turn until there are enough rows.
func (c Columns) Stretch(p Stretch) func(*sql.Selector) {
	first := func(s *sql.Selector, where *sql.Predicate) {
		if where != nil {
			s.Where(where)
		}
		if p.Alive && c.Retry {
			retry.IsAlive(s)
		}
		c.sort(s)
		s.Limit(p.Limit)
	}
	return func(s *sql.Selector) {
		parts := c.behind(s, p.After)
		switch {
		case len(parts) == 0:
			first(s, nil)
		case len(parts) == 1:
			first(s, parts[0](s))
		case s.Dialect() == dialect.MySQL:
			var or []*sql.Predicate
			for _, part := range parts {
				or = append(or, part(s))
			}
			first(s, sql.Or(or...))
		default:
			c.inTurn(s, parts, first, p.Limit)
		}
	}
}

// A part is the condition of a part of the rows behind a place.
type part func(*sql.Selector) *sql.Predicate

// behind returns the parts of the rows behind a place, in their order.
func (c Columns) behind(s *sql.Selector, place Place) (parts []part) {
	if place == nil {
		return nil
	}
	terms := c.terms()
	falling := terms[0].Descending()
	same := !slices.ContainsFunc(terms, func(t entsignal.OrderTerm) bool { return t.Descending() != falling })
	if same && len(terms) > 1 && s.Dialect() != dialect.MySQL {
		return []part{func(s *sql.Selector) *sql.Predicate {
			columns := make([]string, len(terms))
			for i, term := range terms {
				columns[i] = s.C(term.Field())
			}
			if falling {
				return sql.CompositeLT(columns, place...)
			}
			return sql.CompositeGT(columns, place...)
		}}
	}
	for last := len(terms) - 1; last >= 0; last-- {
		parts = append(parts, func(s *sql.Selector) *sql.Predicate {
			var and []*sql.Predicate
			for i, term := range terms[:last] {
				and = append(and, sql.EQ(s.C(term.Field()), place[i]))
			}
			beyond := sql.GT
			if terms[last].Descending() {
				beyond = sql.LT
			}
			return sql.And(append(and, beyond(s.C(terms[last].Field()), place[last]))...)
		})
	}
	return parts
}

// inTurn matches the first rows of the parts, as many as limit.
func (c Columns) inTurn(s *sql.Selector, parts []part, first func(*sql.Selector, *sql.Predicate), limit int) {
	b := sql.Dialect(s.Dialect())
	var all *sql.Selector
	for _, part := range parts {
		rows := b.Select().From(s.Table())
		rows.Select(rows.C(c.ID))
		first(rows, part(rows))
		rows.As("entsignal_part") // SQLite takes no LIMIT in a member of a UNION
		ids := b.Select(rows.C(c.ID)).From(rows)
		if all == nil {
			all = ids
		} else {
			all.UnionAll(ids)
		}
	}
	s.Where(sql.In(s.C(c.ID), all.Limit(limit)))
	c.sort(s)
	s.Limit(limit)
}
