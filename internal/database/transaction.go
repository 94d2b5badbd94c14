package database

import (
	"context"
	stdsql "database/sql"
	"strings"
	"time"

	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/sql"
)

// askTime bounds the question whether a transaction is open.
const askTime = 5 * time.Second

// IsOpen asks the database, of ent's dialect, whether a transaction is still open.
// It returns an error if the database doesn't answer. ctx may have ended: it was
// possibly of the statement that failed.
//
// No driver tells what the server says of it with each answer, and MySQL has
// no variable for it. So a statement is run whose success depends on it.
func IsOpen(ctx context.Context, name string, tx dialect.Tx) (bool, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), askTime)
	defer cancel()
	exec := func(statement string) error { return tx.Exec(ctx, statement, []any{}, nil) }
	switch name {
	case dialect.MySQL:
		// Outside of a transaction a savepoint is gone at once.
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
		// PostgreSQL refuses every statement in a transaction that has failed.
		return exec("SELECT 1") == nil, nil
	}
}

// RefusesAfterError reports whether the database, of ent's dialect, refuses every
// statement but a rollback in a transaction in which one has failed. The others
// may have rolled the transaction back and run what comes next outside of it.
func RefusesAfterError(name string) bool { return name == dialect.Postgres }

// AtomicIsolation returns the isolation level of a transaction of Atomic for which
// level was asked; nil stands for the default, REPEATABLE READ. SQLite, where every
// transaction is serializable, knows no levels.
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
