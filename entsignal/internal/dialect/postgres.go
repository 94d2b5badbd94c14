package dialect

import (
	"context"
	"errors"
	"hash/fnv"

	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/sql"
)

// postgresTurn is an advisory lock of the transaction.
type postgresTurn struct{}

func (postgresTurn) take(ctx context.Context, t *tx, table Table) (bool, error) {
	h := fnv.New64a()
	h.Write([]byte("entsignal " + table.String()))
	return t.ask(ctx, "SELECT pg_try_advisory_xact_lock($1)", int64(h.Sum64()))
}

func removePostgres(t Table, ids []any) (string, []any) {
	return sql.Dialect(dialect.Postgres).Delete(t.Name).Schema(t.Schema).Where(sql.In(t.IDColumn, ids...)).Query()
}

// isPostgresConflict knows lib/pq's and pgx's errors by their SQLSTATE:
// serialization_failure and deadlock_detected.
func isPostgresConflict(err error) bool {
	var state interface{ SQLState() string }
	if !errors.As(err, &state) {
		return false
	}
	code := state.SQLState()
	return code == "40001" || code == "40P01"
}
