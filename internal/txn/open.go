package txn

import (
	"context"
	"strings"
	"time"

	"entgo.io/ent/dialect"
)

// askTime bounds the question whether a transaction is open.
const askTime = 5 * time.Second

// isOpen asks the database whether the transaction is still open. It returns
// an error if the database doesn't answer. ctx may have ended: it was possibly
// of the statement that failed.
//
// No driver tells what the server says of it with each answer, and MySQL has
// no variable for it. So a statement is run whose success depends on it.
func isOpen(ctx context.Context, database string, tx dialect.Tx) (bool, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), askTime)
	defer cancel()
	exec := func(statement string) error { return tx.Exec(ctx, statement, []any{}, nil) }
	switch database {
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
