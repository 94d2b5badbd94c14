package dialect

import (
	"context"
	"strconv"

	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/sql"
)

// mysqlTurn is a named lock of the session. MySQL has none that belongs to a
// transaction, and the pool would hand the session on with the lock, so the
// transaction releases it before it ends.
type mysqlTurn struct{}

// The names of such locks are the server's and not the database's, and at
// most 64 characters long.
const mysqlTurnName = "SHA1(CONCAT('entsignal ', COALESCE(DATABASE(), ''), ' ', ?))"

func (mysqlTurn) take(ctx context.Context, t *tx, table Table, key string) (bool, error) {
	name := table.String()
	if key != "" {
		name += " " + key
	}
	mine, err := t.ask(ctx, "SELECT GET_LOCK("+mysqlTurnName+", 0)", name)
	if mine {
		t.release = func(ctx context.Context) error {
			_, err := t.ask(ctx, "SELECT RELEASE_LOCK("+mysqlTurnName+")", name)
			return err
		}
	}
	return mine, err
}

// removeMySQL makes the server find each row by its key. With a plain IN list
// the optimizer prefers to read the whole table when its statistics call it
// small, and then the DELETE waits for every row that another flush holds:
// seen on MariaDB 10.11 as deadlocks of flushes that shared no row.
func removeMySQL(t *tx, table Table, ids []any) (string, []any) {
	b := &sql.Builder{}
	b.SetDialect(dialect.MySQL)
	writeTable := func() {
		if table.Schema != "" {
			b.Ident(table.Schema).WriteByte('.')
		}
		b.Ident(table.Name)
	}
	b.WriteString("DELETE `t` FROM (SELECT ").Ident(table.IDColumn).WriteString(" AS `id` FROM ")
	writeTable()
	b.WriteString(" WHERE ").Join(In(t, table.IDColumn, table.Counted, ids))
	b.WriteString(" ORDER BY ").Ident(table.IDColumn).WriteString(" LIMIT " + strconv.Itoa(len(ids)) + ") AS `v` STRAIGHT_JOIN ")
	writeTable()
	b.WriteString(" AS `t` FORCE INDEX (PRIMARY) ON `t`.").Ident(table.IDColumn).WriteString(" = `v`.`id`")
	return b.Query()
}

// isMySQLConflict knows *mysql.MySQLError by its shape, because importing the
// driver would link it into every program: ER_LOCK_DEADLOCK, and ER_CHECKREAD
// of MariaDB's snapshot isolation.
func isMySQLConflict(err error) bool {
	number, ok := errorField(err, "mysql", "MySQLError", "Number")
	return ok && (number == 1213 || number == 1020)
}

// isMySQLUnavailable knows ER_CON_COUNT_ERROR and ER_SERVER_SHUTDOWN.
func isMySQLUnavailable(err error) bool {
	number, ok := errorField(err, "mysql", "MySQLError", "Number")
	return ok && (number == 1040 || number == 1053)
}
