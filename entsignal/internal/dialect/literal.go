package dialect

import (
	stdsql "database/sql"
	"database/sql/driver"
	"reflect"
	"strconv"
	"strings"

	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/sql"
)

// prefersLiterals reports whether drv prepares each statement that has
// arguments, which takes a second round trip: lib/pq and go-sql-driver/mysql
// do, pgx has prepared it before. A driver in a wrapper isn't known.
func prefersLiterals(drv dialect.Driver) bool {
	d, ok := drv.(*sql.Driver)
	if !ok {
		return false
	}
	pool, ok := d.ExecQuerier.(*stdsql.DB)
	if !ok {
		return false
	}
	path := reflect.Indirect(reflect.ValueOf(pool.Driver())).Type().PkgPath()
	return strings.HasSuffix(path, "/lib/pq") || strings.HasSuffix(path, "/go-sql-driver/mysql")
}

// takesLiterals reports whether drv is a transaction of such a driver.
func takesLiterals(drv dialect.Driver) bool {
	t, ok := drv.(*tx)
	return ok && t.literals
}

// In matches the rows that have one of the ids in the column, in the form that
// costs the driver the fewest round trips.
func In(drv dialect.Driver, column string, ids []any) *sql.Predicate {
	if takesLiterals(drv) {
		if list, ok := integers(ids); ok {
			return sql.P(func(b *sql.Builder) { b.Ident(column).WriteString(" IN (" + list + ")") })
		}
	}
	return sql.In(column, ids...)
}

// integers returns the ids as SQL. It reports false if they are of another
// kind: only numbers need no quoting.
func integers(ids []any) (list string, ok bool) {
	b := make([]byte, 0, 8*len(ids))
	for i, id := range ids {
		if i > 0 {
			b = append(b, ',')
		}
		if _, ok := id.(driver.Valuer); ok {
			return "", false
		}
		switch v := reflect.ValueOf(id); {
		case v.CanInt():
			b = strconv.AppendInt(b, v.Int(), 10)
		case v.CanUint():
			b = strconv.AppendUint(b, v.Uint(), 10)
		default:
			return "", false
		}
	}
	return string(b), len(ids) > 0
}
