package database

import (
	stdsql "database/sql"
	"database/sql/driver"
	"reflect"
	"strconv"
	"strings"

	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/sql"

	"github.com/entsignal/signalbus/internal/entdriver"
)

// driverTraits are what a driver does with the statements that it is given.
type driverTraits struct {
	// literals: it prepares each statement that has arguments, which takes a
	// second round trip. lib/pq and go-sql-driver/mysql do; pgx has prepared it
	// before.
	literals bool
	// several: it takes several statements without arguments at once, and
	// tells the result of the last. go-sql-driver/mysql must be asked to.
	several bool
	// forgets: it keeps no statement prepared from one use to the next, and with
	// it no plan. pgx does, and lib/pq with pqconn.WithStatementCache.
	forgets bool
}

// driverTraitsOf returns the driverTraits of the driver behind drv. One in a wrapper isn't
// known, and is given what every driver takes.
func driverTraitsOf(drv dialect.Driver) driverTraits {
	pool, ok := entdriver.Executor(drv).(*stdsql.DB)
	if !ok {
		return driverTraits{}
	}
	if _, ok := pool.Driver().(interface{ KeepsStatements() }); ok { // pqconn
		return driverTraits{literals: true, several: true}
	}
	switch path := packageOf(pool.Driver()); {
	case strings.HasSuffix(path, "/lib/pq"):
		return driverTraits{literals: true, several: true, forgets: true}
	case strings.HasSuffix(path, "/go-sql-driver/mysql"):
		return driverTraits{literals: true}
	default:
		return driverTraits{}
	}
}

// takesLiterals reports whether drv is a transaction of such a driver.
func takesLiterals(drv dialect.Driver) bool {
	t, ok := drv.(*tx)
	return ok && t.literals
}

// In matches the rows that have one of the ids in the column, in the form that
// costs the driver the fewest round trips. counted says that the column has whole
// numbers.
func In(drv dialect.Driver, column string, counted bool, ids []any) *sql.Predicate {
	if counted && takesLiterals(drv) {
		if list, ok := integers(ids); ok {
			return sql.P(func(b *sql.Builder) { b.Ident(column).WriteString(" IN (" + list + ")") })
		}
	}
	return sql.In(column, ids...)
}

// Listed makes a query through drv return the rows with these ids, by id. The limit
// changes nothing but the mind of MySQL's optimizer, which would read, and lock, the
// whole of a small table.
func Listed(drv dialect.Driver, s *sql.Selector, idColumn string, counted bool, ids []any) {
	s.Where(In(drv, s.C(idColumn), counted, ids)).OrderBy(s.C(idColumn)).Limit(len(ids))
}

// integers returns the ids as SQL. It reports false if they are of another
// kind: only numbers need no quoting.
func integers(ids []any) (list string, ok bool) {
	b := make([]byte, 0, 8*len(ids))
	for i, id := range ids {
		if i > 0 {
			b = append(b, ',')
		}
		switch v, ok := integer(id); {
		case !ok:
			return "", false
		case v.CanInt():
			b = strconv.AppendInt(b, v.Int(), 10)
		default:
			b = strconv.AppendUint(b, v.Uint(), 10)
		}
	}
	return string(b), len(ids) > 0
}

// integer returns the value of an id of an integer type, signed or not, that is
// stored as it is.
func integer(id any) (reflect.Value, bool) {
	v := reflect.ValueOf(id)
	_, converts := id.(driver.Valuer)
	return v, !converts && (v.CanInt() || v.CanUint())
}
