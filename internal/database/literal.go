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

// driverTraits are how a driver treats the statements that it gets.
type driverTraits struct {
	// literals means that it prepares each statement with arguments, which takes a second round
	// trip. lib/pq and go-sql-driver/mysql do. pgx keeps statements prepared.
	literals bool
	// several means that it accepts several statements without arguments at once, and returns the
	// result of the last; BEGIN may be the first. go-sql-driver/mysql needs a setting for it.
	several bool
	// forgets means that it keeps no statement, and so no plan, from one use to the next. pgx keeps
	// them, and so does lib/pq with pqconn.WithStatementCache.
	forgets bool
}

// driverTraitsOf returns the traits of the driver behind drv. A wrapped driver
// isn't recognized; it is treated like any unknown driver.
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

// takesLiterals reports whether drv is a transaction of a driver with the trait
// literals.
func takesLiterals(drv dialect.Driver) bool {
	t, ok := drv.(*tx)
	return ok && t.literals
}

// In matches the rows with one of the ids in the column, in the form with the
// fewest round trips for the driver. counted means that the column contains whole
// numbers.
func In(drv dialect.Driver, column string, counted bool, ids []any) *sql.Predicate {
	if counted && takesLiterals(drv) {
		if list, ok := integers(ids); ok {
			return sql.P(func(b *sql.Builder) { b.Ident(column).WriteString(" IN (" + list + ")") })
		}
	}
	return sql.In(column, ids...)
}

// Listed makes a query with drv return the rows with these ids, sorted by id. The
// limit only prevents MySQL's optimizer from reading, and locking, the whole of a
// small table.
func Listed(drv dialect.Driver, s *sql.Selector, idColumn string, counted bool, ids []any) {
	s.Where(In(drv, s.C(idColumn), counted, ids)).OrderBy(s.C(idColumn)).Limit(len(ids))
}

// integers returns the ids as SQL. It returns false if they aren't integers,
// because only numbers need no quoting.
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

// integer returns the value of an id of an integer type, signed or unsigned, that
// is stored unchanged.
func integer(id any) (reflect.Value, bool) {
	v := reflect.ValueOf(id)
	_, converts := id.(driver.Valuer)
	return v, !converts && (v.CanInt() || v.CanUint())
}
