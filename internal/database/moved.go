package database

import (
	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/sql"
)

// If a row is changed after a query has begun, for example while the query waits for its lock,
// PostgreSQL returns it with its new values but in its old place.

// RowsMove reports whether a query that locks rows may return them in this way.
func RowsMove(drv dialect.Driver) bool { return drv.Dialect() == dialect.Postgres }

// movedColumn contains whether a row has moved.
const movedColumn = "entsignal_moved"

// MarkMoved matches the rows that pick matches, sorted by sort, for a query that
// locks them. It marks the rows that have moved: such a row is no longer stored
// where the query saw it.
func MarkMoved(s *sql.Selector, idColumn string, pick, sort func(*sql.Selector)) {
	const place = "entsignal_place"
	t := s.Table()
	seen := sql.Dialect(s.Dialect()).Select(t.C(idColumn)).From(t).AppendSelectAs(t.C("ctid"), place)
	pick(seen)
	seen.As("entsignal_seen")
	s.Join(seen).On(s.C(idColumn), seen.C(idColumn))
	sort(s)
	s.AppendSelectExprAs(sql.ExprFunc(func(b *sql.Builder) {
		b.Ident(t.C("ctid")).WriteString(" <> ").Ident(seen.C(place))
	}), movedColumn)
}

// HasMoved reports whether a row is marked. get returns the value that the row has
// under a name.
func HasMoved(get func(name string) (any, error)) bool {
	v, err := get(movedColumn)
	moved, ok := v.(bool)
	return err == nil && ok && moved
}
