package database

import (
	"strconv"

	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/sql"
)

// placePrefix begins the names under which the values of a place are selected.
const placePrefix = "entsignal_place_"

// SelectPlace makes a query of rows select columns in the form in which the database
// compares them; see [PlaceOf].
func SelectPlace(s *sql.Selector, columns []string) {
	for i, column := range columns {
		name := placePrefix + strconv.Itoa(i)
		if s.Dialect() != dialect.SQLite {
			s.AppendSelectAs(s.C(column), name)
			continue
		}
		// A plain column has the type that it was declared with, and a driver reads a time from
		// the text that is stored.
		s.AppendSelectExprAs(sql.ExprFunc(func(b *sql.Builder) { b.WriteByte('+').Ident(s.C(column)) }), name)
	}
}

// PlaceOf returns the values of n columns that [SelectPlace] has selected with drv. get
// returns the value that a row has under a name. It returns false if there are none,
// or if one is NULL, with which nothing compares.
func PlaceOf(drv dialect.Driver, get func(name string) (any, error), n int) (place []any, ok bool) {
	for i := range n {
		v, err := get(placePrefix + strconv.Itoa(i))
		if err != nil || v == nil {
			return nil, false
		}
		place = append(place, TextOf(drv, v))
	}
	return place, true
}

// UpTo matches the rows whose column is top or less, for a query that takes the first
// of them behind another value.
//
// PostgreSQL compares rows of two columns instead. While a table was never analyzed,
// such as after a restore or pg_upgrade, it takes two comparisons of one column for a
// range with a two-hundredth of the rows, and reads and sorts the whole range for each
// batch: 200,000 rows took 80 ms a batch when measured, instead of half a millisecond.
// It doesn't guess so of rows, and still ends its walk along the index at top.
func UpTo(s *sql.Selector, column string, top any) *sql.Predicate {
	column = s.C(column)
	if s.Dialect() != dialect.Postgres {
		return sql.LTE(column, top)
	}
	return sql.P(func(b *sql.Builder) {
		b.WriteByte('(').IdentComma(column, column).WriteString(") <= (").Args(top, top).WriteByte(')')
	})
}
