package dialect

import (
	"context"
	"time"

	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/sql"
)

// An IdleLimit is after how long the server ends a transaction, or its
// session, in which nothing happens. To the server that is all the time that a
// sender works in a claim.
type IdleLimit struct {
	Setting string        // its name
	After   time.Duration // 0: there is none
}

// idlePostgres names the settings, whose unit is the millisecond.
// transaction_timeout is of PostgreSQL 17 and later; idle_session_timeout
// spares transactions.
const idlePostgres = `SELECT name, setting FROM pg_settings WHERE name IN ('idle_in_transaction_session_timeout', 'transaction_timeout')`

// idleMySQL names the settings, whose unit is the second. All but wait_timeout
// are MariaDB's. A claim writes before it waits.
const idleMySQL = `SHOW SESSION VARIABLES WHERE Variable_name IN ('idle_transaction_timeout', 'idle_write_transaction_timeout', 'wait_timeout')`

// IdleLimit implements [Dialect].
func (l *locking) IdleLimit(ctx context.Context, drv dialect.Driver) (IdleLimit, error) {
	text, unit := idlePostgres, time.Millisecond
	if drv.Dialect() == dialect.MySQL {
		text, unit = idleMySQL, time.Second
	}
	var lowest IdleLimit
	err := query(ctx, drv, text, nil, func(rows *sql.Rows) error {
		var (
			name  string
			value int64
		)
		if err := rows.Scan(&name, &value); err != nil {
			return err
		}
		after := time.Duration(value) * unit
		if value > 0 && (lowest.After == 0 || after < lowest.After) {
			lowest = IdleLimit{Setting: name, After: after}
		}
		return nil
	})
	return lowest, err
}

// IdleLimit implements [Dialect]: no transaction is open while a sender works.
func (s *sqlite) IdleLimit(context.Context, dialect.Driver) (IdleLimit, error) {
	return IdleLimit{}, nil
}
