package database

import (
	"context"
	"strings"

	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/sql"
)

// postgresOrderLock is an advisory lock of the transaction.
type postgresOrderLock struct{}

// advisoryClass is the upper half of the keys of our advisory locks: "esig".
const advisoryClass = 0x65736967

// planAnew makes the server plan each statement of the transaction for the table
// as it is. The plan that it would keep for a prepared statement, one made while
// the table was small, was measured to read a backlog of 2,000 rows a thousand
// times. Servers older than 12 don't have the setting.
const planAnew = "SELECT set_config('plan_cache_mode', 'force_custom_plan', true) WHERE current_setting('plan_cache_mode', true) IS NOT NULL"

func pgQuote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

func (postgresOrderLock) take(ctx context.Context, t *tx, table Table, key string) (bool, error) {
	// The table is known by its oid, so that tables of one name in several
	// schemas of the search path are several. One that isn't there is none of
	// the lock's business.
	const ofTable = "($1::bigint << 32) | COALESCE(to_regclass($2)::oid::bigint, 0)"
	if key == "" {
		return t.ask(ctx, "SELECT pg_try_advisory_xact_lock("+ofTable+")", advisoryClass, pgTable(table))
	}
	return t.ask(ctx, "SELECT pg_try_advisory_xact_lock(hashtextextended($3, "+ofTable+"))", advisoryClass, pgTable(table), key)
}

func removePostgres(t *tx, table Table, ids []any) (string, []any) {
	return sql.Dialect(dialect.Postgres).Delete(table.Name).Schema(table.Schema).Where(inRanges(t, table, ids)).Query()
}

// isPostgresConflict knows serialization_failure and deadlock_detected.
func isPostgresConflict(err error) bool {
	code := sqlState(err)
	return code == "40001" || code == "40P01"
}

// isPostgresUnavailable knows the class of connection exceptions,
// too_many_connections, what a server says while it ends or begins, and
// read_only_sql_transaction. Of an error without a code it knows that pgx has
// found no server to connect to, perhaps because none takes writes.
func isPostgresUnavailable(err error) bool {
	switch code := sqlState(err); code {
	case "53300", "57P01", "57P02", "57P03", "25006":
		return true
	case "":
		return hasType(err, "pgconn", "ConnectError")
	default:
		return strings.HasPrefix(code, "08")
	}
}

// isStandby reports whether err says that a transaction that writes can't begin
// (feature_not_supported): the server is a standby.
func isStandby(err error) bool { return sqlState(err) == "0A000" }

// sqlState returns the SQLSTATE of an error of lib/pq or pgx, or "".
func sqlState(err error) string {
	state, ok := asError[interface{ SQLState() string }](err)
	if !ok {
		return ""
	}
	return state.SQLState()
}
