package database

import (
	"context"
	stdsql "database/sql"
	"strings"
	"time"

	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/sql"
)

// askTime limits the question whether a transaction is open.
const askTime = 5 * time.Second

// IsOpen asks the database, with ent's name for it, whether a transaction is still
// open. It returns an error if the database doesn't answer. ctx may have ended,
// because it may belong to the statement that failed.
//
// No driver shows what the server reports about this with each answer, and MySQL
// has no variable for it. So IsOpen runs a statement whose success depends on it.
func IsOpen(ctx context.Context, name string, tx dialect.Tx) (bool, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), askTime)
	defer cancel()
	exec := func(statement string) error { return tx.Exec(ctx, statement, []any{}, nil) }
	switch name {
	case dialect.MySQL:
		// Outside a transaction, a savepoint is gone at once.
		if err := exec("SAVEPOINT entsignal_open"); err != nil {
			return false, err
		}
		return exec("RELEASE SAVEPOINT entsignal_open") == nil, nil
	case dialect.SQLite:
		err := exec("BEGIN")
		if err == nil {
			return false, exec("ROLLBACK")
		}
		if strings.Contains(err.Error(), "within a transaction") {
			return true, nil
		}
		return false, err
	default:
		// PostgreSQL rejects every statement in a failed transaction.
		return exec("SELECT 1") == nil, nil
	}
}

// RefusesAfterError reports whether the database, with ent's name for it, rejects
// every statement except a rollback in a transaction in which a statement has
// failed. Other databases may have rolled back the transaction, and run the next
// statements outside it.
func RefusesAfterError(name string) bool { return name == dialect.Postgres }

// AtomicIsolation returns the isolation level of an Atomic transaction for which
// level was requested. nil means the default, REPEATABLE READ. SQLite has no
// levels, because every transaction is serializable.
func AtomicIsolation(drv dialect.Driver, level *stdsql.IsolationLevel) stdsql.IsolationLevel {
	switch {
	case drv.Dialect() == dialect.SQLite:
		return stdsql.LevelDefault
	case level != nil:
		return *level
	default:
		return stdsql.LevelRepeatableRead
	}
}

// ForUpdate makes a query lock the rows that it returns. SQLite has no row locks;
// there the query only reads.
func ForUpdate(s *sql.Selector, opts ...sql.LockOption) {
	if s.Dialect() != dialect.SQLite {
		s.ForUpdate(opts...)
	}
}
