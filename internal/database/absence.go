package database

import (
	"context"
	stdsql "database/sql"
	"fmt"

	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/sql"
)

// Missing describes rows that a commit has recorded and that can't be seen.
type Missing struct {
	Table Table
	IDs   []any
	// Others means that rows of other commits were found in the table.
	Others bool
}

// Absence implements [Dialect].
func (l *locking) Absence(ctx context.Context, drv dialect.Driver, m Missing) (string, error) {
	if l.absence == nil {
		return "", nil
	}
	return l.absence(ctx, drv, m)
}

// Absence implements [Dialect]. All connections to a SQLite database see what is committed
// in it.
func (*sqlite) Absence(context.Context, dialect.Driver, Missing) (string, error) { return "", nil }

// surroundings asks whether row-level security hides rows of the table from this
// user, how many tables of the same name there are in other schemas, and the last
// id of the table's own sequence.
const surroundings = `
SELECT row_security_active(c.oid),
	(SELECT count(*) FROM pg_class o WHERE o.relname = c.relname AND o.oid <> c.oid AND o.relkind IN ('r', 'p')),
	s.seq IS NOT NULL AND has_sequence_privilege(s.seq, 'SELECT, USAGE'),
	CASE WHEN s.seq IS NOT NULL AND has_sequence_privilege(s.seq, 'SELECT, USAGE') THEN pg_sequence_last_value(s.seq) END
FROM pg_class c, LATERAL (SELECT pg_get_serial_sequence($1, $2)::regclass AS seq) s
WHERE c.oid = to_regclass($1)`

// absencePostgres checks the two settings of a transaction that can hide its rows
// from others: search_path, and settings that the policies of row-level security
// read. If there are no tables of the same name and there is no row-level security,
// the rows were here and are gone. Otherwise they are considered missing if no row
// was ever found here, or if these ids were never drawn here.
func absencePostgres(ctx context.Context, drv dialect.Driver, m Missing) (reason string, err error) {
	var (
		hides, watched bool
		others         int
		last           stdsql.NullInt64
	)
	err = query(ctx, drv, surroundings, []any{pgTable(m.Table), m.Table.IDColumn}, func(rows *sql.Rows) error {
		return rows.Scan(&hides, &others, &watched, &last)
	})
	switch {
	case err != nil:
		return "", err
	case hides && !m.Others:
		return fmt.Sprintf("row-level security hides rows of the table %s from the bus, because its transactions don't have the settings of yours", m.Table), nil
	case others > 0 && m.Table.Schema == "" && (!m.Others || watched && last.Valid && above(m.IDs, last.Int64)):
		return fmt.Sprintf("the table %s exists in %d more schemas, and the bus uses the search_path of its connections and not one that a transaction sets; give each tenant a client and a bus of its own", m.Table, others), nil
	default:
		return "", nil
	}
}

// above reports whether all ids are numbers above last.
func above(ids []any, last int64) bool {
	for _, id := range ids {
		v, ok := integer(id)
		if !ok || v.CanUint() && v.Uint() <= uint64(max(last, 0)) || v.CanInt() && v.Int() <= last {
			return false
		}
	}
	return true
}
