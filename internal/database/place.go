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
