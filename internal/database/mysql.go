package database

import (
	"context"
	stdsql "database/sql"
	"encoding/hex"
	"strconv"
	"strings"

	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/sql"
)

// mysqlOrderLock is a set of named locks of the session. MySQL has no named locks of a
// transaction. The pool would pass the session on with the locks, so the transaction
// releases them before it ends.
type mysqlOrderLock struct{}

func (mysqlOrderLock) take(ctx context.Context, t *tx, table Table, keys []string) (busy []int, err error) {
	if len(keys) == 0 {
		keys = []string{""}
	}
	names := make([]string, len(keys))
	locks := make([]string, len(keys))
	for i, key := range keys {
		names[i] = mysqlLockName(table, key)
		locks[i] = "GET_LOCK(" + names[i] + ", 0)"
	}
	mine := make([]stdsql.NullBool, len(keys))
	dest := make([]any, len(keys))
	for i := range mine {
		dest[i] = &mine[i]
	}
	err = query(ctx, t, "SELECT "+strings.Join(locks, ", "), nil, func(rows *sql.Rows) error { return rows.Scan(dest...) })
	var release []string
	for i := range mine {
		if mine[i].Bool {
			release = append(release, "RELEASE_LOCK("+names[i]+")")
		} else {
			busy = append(busy, i)
		}
	}
	if len(release) > 0 {
		t.release = func(ctx context.Context) error { return t.exec(ctx, "DO "+strings.Join(release, ", ")) }
	}
	if err != nil {
		return nil, err
	}
	return busy, nil
}

// mysqlLockName returns the name of an order's lock as SQL. The names of such locks
// are unique per server, not per database, and have at most 64 characters. The key
// is hashed as bytes; as a text it would have to fit the character set of
// DATABASE(), which may not contain every character. Without an argument the
// statement costs one round trip instead of two.
func mysqlLockName(table Table, key string) string {
	name := table.String()
	if key != "" {
		name += " " + key
	}
	return "SHA1(CONCAT('entsignal ', COALESCE(DATABASE(), ''), ' ', UNHEX('" + hex.EncodeToString([]byte(name)) + "')))"
}

// unsafeMySQL begins a deletion that sql_safe_updates would reject, because its derived table has
// no key. It turns the setting off for this statement, which MariaDB and MySQL spell differently.
const unsafeMySQL = "/*M! SET STATEMENT sql_safe_updates=0 FOR */ DELETE /*+ SET_VAR(sql_safe_updates=0) */"

// removeMySQL makes the server find each row by its key. With a plain IN list, the
// optimizer prefers to read the whole table if its statistics say that it is small,
// and then the DELETE waits for every row that another flush holds. On MariaDB
// 10.11 this led to deadlocks between flushes that shared no row.
func removeMySQL(t *tx, table Table, ids []any) (string, []any) {
	b := &sql.Builder{}
	b.SetDialect(dialect.MySQL)
	if t.server.safeUpdates {
		b.WriteString(unsafeMySQL)
	} else {
		b.WriteString("DELETE")
	}
	b.WriteString(" `t` FROM (SELECT ").Ident(table.IDColumn).WriteString(" AS `id` FROM ")
	writeTable(b, table.Schema, table.Name)
	b.WriteString(" WHERE ").Join(In(t, table.IDColumn, table.Counted, ids))
	b.WriteString(" ORDER BY ").Ident(table.IDColumn).WriteString(" LIMIT " + strconv.Itoa(len(ids)) + ") AS `v` STRAIGHT_JOIN ")
	writeTable(b, table.Schema, table.Name)
	b.WriteString(" AS `t` FORCE INDEX (PRIMARY) ON `t`.").Ident(table.IDColumn).WriteString(" = `v`.`id`")
	return b.Query()
}

// mysqlNumber returns the number of an error of the server. It detects
// *mysql.MySQLError by its shape, because importing the driver would link it into every
// program.
func mysqlNumber(err error) (number int64, ok bool) {
	return errorField(err, "mysql", "MySQLError", "Number")
}

// isMySQLConflict recognizes ER_LOCK_DEADLOCK, and ER_CHECKREAD of MariaDB's
// snapshot isolation.
func isMySQLConflict(err error) bool {
	number, ok := mysqlNumber(err)
	return ok && (number == 1213 || number == 1020)
}

// isMySQLUnavailable recognizes ER_CON_COUNT_ERROR and ER_SERVER_SHUTDOWN, and the
// errors of a server that accepts no writes: ER_OPTION_PREVENTS_STATEMENT, which
// for the statements of a bus means read_only, ER_READ_ONLY_MODE and
// ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION.
func isMySQLUnavailable(err error) bool {
	number, _ := mysqlNumber(err)
	switch number {
	case 1040, 1053, 1290, 1836, 1792:
		return true
	default:
		return false
	}
}
