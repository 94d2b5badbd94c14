package database

import (
	"context"
	stdsql "database/sql"
	"fmt"
	"regexp"
	"strings"
	"time"

	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/sql"
)

// Sequence is the sequence of PostgreSQL from which a table draws its ids.
type Sequence struct {
	oid   int64
	name  string
	table string // quoted
	id    string // quoted
}

// String returns the sequence's name.
func (s *Sequence) String() string { return s.name }

// findSequence finds the sequence of a column. The sequence of an identity belongs to the column,
// and that of a default to the default. pg_get_serial_sequence finds only those that the column
// owns.
const findSequence = `
SELECT s.seqrelid::bigint, s.seqrelid::regclass::text, s.seqcache, s.seqincrement, s.seqcycle,
	has_sequence_privilege(s.seqrelid, 'SELECT, USAGE'), COALESCE(pg_get_expr(d.adbin, d.adrelid), '')
FROM pg_attribute a
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
JOIN pg_depend p ON
	p.classid = 'pg_class'::regclass AND p.refclassid = 'pg_class'::regclass AND p.refobjid = a.attrelid AND p.refobjsubid = a.attnum AND p.deptype = 'i'
	OR p.classid = 'pg_attrdef'::regclass AND p.objid = d.oid AND p.refclassid = 'pg_class'::regclass
JOIN pg_sequence s ON s.seqrelid = CASE p.classid WHEN 'pg_class'::regclass THEN p.objid ELSE p.refobjid END
WHERE a.attrelid = to_regclass(%s) AND a.attname = %s`

// plainDefault matches a default that is only the sequence's next value.
var plainDefault = regexp.MustCompile(`^nextval\('(?:[^']|'')+'::regclass\)$`)

// orderPostgres finds the sequence to watch. The order is strict only if an id is
// the next value of one sequence, drawn when the row is inserted.
func orderPostgres(ctx context.Context, drv dialect.Driver, t Table) (Order, error) {
	type found struct {
		Sequence
		cache, increment   int64
		cycle, allowed     bool
		defaultsExpression string
	}
	var all []found
	err := query(ctx, drv, fmt.Sprintf(findSequence, pgLiteral(pgTable(t)), pgLiteral(t.IDColumn)), nil, func(rows *sql.Rows) error {
		f := found{Sequence: Sequence{table: pgTable(t), id: pgQuote(t.IDColumn)}}
		if err := rows.Scan(&f.oid, &f.name, &f.cache, &f.increment, &f.cycle, &f.allowed, &f.defaultsExpression); err != nil {
			return err
		}
		all = append(all, f)
		return nil
	})
	if err != nil {
		if isPostgresRefusal(err) { // a server that only speaks PostgreSQL's protocol
			return Order{Reason: fmt.Sprintf("the server doesn't show where the values of %s in %s come from: %v", t.IDColumn, t, err)}, nil
		}
		return Order{}, fmt.Errorf("find the sequence of %s: %w", t, err)
	}
	no := func(format string, args ...any) (Order, error) {
		o := Order{Reason: fmt.Sprintf(format, args...)}
		if len(all) > 0 {
			o.sequence = all[0].oid
		}
		return o, nil
	}
	if len(all) == 0 {
		return no("column %s of %s is not drawn from a sequence", t.IDColumn, t)
	}
	switch s := all[0]; {
	case len(all) > 1:
		return no("column %s of %s depends on %d sequences", t.IDColumn, t, len(all))
	case s.defaultsExpression != "" && !plainDefault.MatchString(s.defaultsExpression):
		return no("column %s of %s is not the plain value of its sequence but %s", t.IDColumn, t, s.defaultsExpression)
	case s.cache != 1:
		return no("the sequence %s has CACHE %d, so sessions reserve low ids for later; ALTER SEQUENCE %s CACHE 1", s.name, s.cache, s.name)
	case s.increment < 1:
		return no("the sequence %s counts down, by %d", s.name, s.increment)
	case s.cycle:
		return no("the sequence %s starts again at its end (CYCLE)", s.name)
	case !s.allowed:
		order, err := no("this user may not read the sequence %s; GRANT SELECT ON SEQUENCE %s", s.name, s.name)
		order.Sequence = &s.Sequence
		return order, err
	default:
		return Order{Sequence: &s.Sequence, sequence: s.oid}, nil
	}
}

// orderStamp shows the versions of the rows of the catalogue in which orderPostgres finds the
// answer, and the privilege. It takes the server a tenth of the time.
const orderStamp = `
SELECT format('%%s %%s %%s %%s %%s', r.oid,
	(SELECT a.xmin FROM pg_attribute a WHERE a.attrelid = r.oid AND a.attname = %[2]s),
	(SELECT string_agg(d.xmin::text, ',' ORDER BY d.adnum) FROM pg_attrdef d WHERE d.adrelid = r.oid),
	(SELECT s.xmin FROM pg_sequence s WHERE s.seqrelid = %[3]d),
	has_sequence_privilege(%[3]d::oid, 'SELECT, USAGE'))
FROM (SELECT to_regclass(%[1]s)::oid AS oid) r`

func orderStampPostgres(ctx context.Context, drv dialect.Driver, t Table, o Order) (stamp string, _ error) {
	err := query(ctx, drv, fmt.Sprintf(orderStamp, pgLiteral(pgTable(t)), pgLiteral(t.IDColumn), o.sequence), nil, func(rows *sql.Rows) error {
		return rows.Scan(&stamp)
	})
	return stamp, err
}

// look reads the sequence's value first, and then which transactions hold its lock.
// The sub-select depends on the value to ensure that order. Locks named n/0 belong
// to transactions that have ended, whose rows every later snapshot sees. A prepared
// transaction has no pid. The raw last_value of the sequence is no substitute:
// while others drew ids, 29 of 800,000 reads of it were up to 31 ahead. The
// snapshot in which the ids are read is older than both.
//
// It must run by itself, because pg_sequence_last_value takes the lock too. The
// source changes when the server starts (the first time) and when it recovers from
// a crash of one of its processes (the second). After that the names of
// transactions are reused, and the sequence may have lost what was never committed.
const look = `
SELECT b.v,
	(SELECT string_agg(DISTINCT l.virtualtransaction, ' ') FROM pg_locks l
		WHERE b.v IS NOT NULL AND l.locktype = 'relation' AND l.granted AND l.pid IS DISTINCT FROM pg_backend_pid()
		AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND l.relation = %[1]d
		AND l.mode IN ('RowExclusiveLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
		AND l.virtualtransaction NOT LIKE '%%/0'),
	(SELECT min(%[2]s) FROM %[3]s WHERE %[2]s > '%[4]d'::bigint), (SELECT max(%[2]s) FROM %[3]s WHERE %[2]s > '%[4]d'::bigint),
	concat_ws(' ', %[1]d, pg_postmaster_start_time(), (SELECT stats_reset FROM pg_stat_bgwriter))
FROM (SELECT pg_sequence_last_value(%[1]d::oid::regclass) AS v OFFSET 0) b`

// Watermark looks at the sequence, and at the rows above an id.
func (s *Sequence) Watermark(ctx context.Context, drv dialect.Driver, m *History, above int64) (Watermark, error) {
	var (
		value, bottom, top stdsql.NullInt64
		open               stdsql.NullString
		source             string
	)
	err := query(ctx, drv, fmt.Sprintf(look, s.oid, s.id, s.table, above), nil, func(rows *sql.Rows) error {
		return rows.Scan(&value, &open, &bottom, &top, &source)
	})
	if err != nil {
		return Watermark{}, fmt.Errorf("watch the sequence %s: %w", s.name, err)
	}
	if !value.Valid { // nothing was drawn yet
		value.Int64 = none
	}
	return Watermark{
		Low:    m.see(source, value.Int64, strings.Fields(open.String)),
		Last:   value.Int64,
		Rows:   bottom.Valid,
		Bottom: bottom.Int64,
		Top:    top.Int64,
	}, nil
}

const countHeld = `SELECT count(*), COALESCE(min(%[1]s), 0), COALESCE(max(%[1]s), 0) FROM %[2]s WHERE %[1]s > '%[3]d'::bigint AND %[1]s <= '%[4]d'::bigint`

// holders describes transactions. A prepared one is known by its number, which
// it holds a lock on. Of other users' sessions one sees the state only with
// pg_read_all_stats.
const holders = `
SELECT DISTINCT COALESCE(l.pid, 0), COALESCE(p.gid, ''), COALESCE(a.usename, p.owner, '')::text,
	COALESCE(a.application_name, ''), COALESCE(a.state, ''),
	EXISTS (SELECT FROM pg_locks w WHERE w.virtualtransaction = l.virtualtransaction AND w.locktype = 'transactionid' AND w.mode = 'ExclusiveLock'),
	EXTRACT(EPOCH FROM statement_timestamp() - COALESCE(a.xact_start, p.prepared))::float8 AS age
FROM pg_locks l
LEFT JOIN pg_stat_activity a ON a.pid = l.pid
LEFT JOIN pg_locks x ON l.pid IS NULL AND x.pid IS NULL AND x.virtualtransaction = l.virtualtransaction AND x.locktype = 'transactionid'
LEFT JOIN pg_prepared_xacts p ON p.transaction = x.transactionid
WHERE l.locktype = 'relation' AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
	AND %s
ORDER BY age DESC NULLS LAST`

// drawers selects the transactions that have drawn ids.
const drawers = `l.relation = %d AND l.virtualtransaction = ANY (string_to_array(%s, ' '))`

// lockers selects the transactions whose locks prevent reading the table, a part or
// an index of it, or the sequence. It includes those that wait for such a lock,
// because other transactions queue up behind them.
const lockers = `l.pid IS DISTINCT FROM pg_backend_pid() AND (
	l.relation = %d AND l.mode IN ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
	OR l.mode = 'AccessExclusiveLock' AND l.relation IN (
		WITH RECURSIVE parts(oid) AS (
			SELECT to_regclass(%s)::oid
			UNION SELECT i.inhrelid FROM pg_inherits i JOIN parts p ON p.oid = i.inhparent
		)
		SELECT oid FROM parts
		UNION SELECT i.indexrelid FROM pg_index i JOIN parts p ON p.oid = i.indrelid
	))`

// Waiting returns which rows above low and up to top wait, and for which
// transactions.
func (s *Sequence) Waiting(ctx context.Context, drv dialect.Driver, m *History, low, top int64) (Waiting, error) {
	var h Waiting
	err := query(ctx, drv, fmt.Sprintf(countHeld, s.id, s.table, low, top), nil, func(rows *sql.Rows) error {
		return rows.Scan(&h.Rows, &h.First, &h.Last)
	})
	if err == nil {
		h.By, err = s.holders(ctx, drv, drawers, strings.Join(m.below(top), " "))
	}
	if err != nil {
		return Waiting{}, fmt.Errorf("ask who holds the sequence %s: %w", s.name, err)
	}
	return h, nil
}

// Lockers returns the transactions that prevent a look.
func (s *Sequence) Lockers(ctx context.Context, drv dialect.Driver) ([]Blocker, error) {
	all, err := s.holders(ctx, drv, lockers, s.table)
	if err != nil {
		return nil, fmt.Errorf("ask who locks %s: %w", s.table, err)
	}
	return all, nil
}

// holders describes the transactions whose locks match a condition with one
// argument.
func (s *Sequence) holders(ctx context.Context, drv dialect.Driver, condition, arg string) (all []Blocker, _ error) {
	err := query(ctx, drv, fmt.Sprintf(holders, fmt.Sprintf(condition, s.oid, pgLiteral(arg))), nil, func(rows *sql.Rows) error {
		var (
			h   Blocker
			age stdsql.NullFloat64
		)
		if err := rows.Scan(&h.PID, &h.GID, &h.User, &h.Application, &h.State, &h.Wrote, &age); err != nil {
			return err
		}
		h.Age = time.Duration(age.Float64 * float64(time.Second))
		all = append(all, h)
		return nil
	})
	return all, err
}

// pgTable returns the quoted name of a table.
func pgTable(t Table) string {
	if t.Schema == "" {
		return pgQuote(t.Name)
	}
	return pgQuote(t.Schema) + "." + pgQuote(t.Name)
}

// pgLiteral returns a text as a PostgreSQL literal that doesn't depend on
// standard_conforming_strings.
func pgLiteral(text string) string {
	quoted := "'" + strings.ReplaceAll(text, "'", "''") + "'"
	if strings.Contains(text, `\`) {
		return " E" + strings.ReplaceAll(quoted, `\`, `\\`)
	}
	return quoted
}

// isPostgresRefusal reports whether the server understood a statement but doesn't
// support it: the classes 42 (access, syntax, names) and 0A (feature).
func isPostgresRefusal(err error) bool {
	code := sqlState(err)
	return strings.HasPrefix(code, "42") || strings.HasPrefix(code, "0A")
}
