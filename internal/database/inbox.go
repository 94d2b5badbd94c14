package database

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/sql"

	"github.com/entsignal/signalbus/internal/annotation"
)

// An Inbox is a table of the keys of messages that were handled.
type Inbox struct {
	Schema     string // empty: the connection's
	Name       string
	ID         string // this and what follows are columns
	Source     string
	MessageID  string
	ReceivedAt string
	// Exact means that a key that is refused as a duplicate is in the table, as [Inbox.Check]
	// reports.
	Exact bool
}

// A ReceivedKey is a row of an inbox that is to be inserted.
type ReceivedKey struct {
	Source, MessageID string
	ID                any // of the row; nil: the database gives it
}

// The time in a row is the database's own, as is the one that it is compared with, so
// that the clocks and time zones of processes don't matter.
const databaseTime = "CURRENT_TIMESTAMP"

// InsertKeys inserts those of the keys that are not in the inbox, in the transaction in
// which drv works, and reports for each whether it was inserted. A key that another
// transaction has inserted and not committed is waited for. On PostgreSQL, under
// REPEATABLE READ, a key that was committed since the transaction's first statement is a
// serialization failure. The keys must differ. They should be sorted, so that two
// transactions don't wait for each other.
func (in Inbox) InsertKeys(ctx context.Context, drv dialect.Driver, keys []ReceivedKey) ([]bool, error) {
	if drv.Dialect() == dialect.MySQL {
		return in.insertMySQL(ctx, drv, keys)
	}
	// With the columns named, another unique index doesn't make a repeat of a message.
	query, args := in.insert(drv, keys, argument).
		OnConflict(sql.ConflictColumns(in.Source, in.MessageID), sql.DoNothing()).
		Returning(in.Source, in.MessageID).Query()
	stored, err := in.scan(ctx, drv, query, args)
	if err != nil {
		return nil, err
	}
	inserted := make([]bool, len(keys))
	for i, k := range keys {
		inserted[i] = stored[[2]string{k.Source, k.MessageID}]
	}
	return inserted, nil
}

// argument passes a text as an argument of its statement.
func argument(s string) any { return s }

// mysqlLiteral writes a text into the statement. go-sql-driver/mysql takes two round trips
// for a statement with arguments. In hexadecimal digits, a text means the same in each SQL
// mode and with each character set.
func mysqlLiteral(s string) any { return sql.Raw(fmt.Sprintf("_utf8mb4 X'%x'", s)) }

func (in Inbox) insert(drv dialect.Driver, keys []ReceivedKey, text func(string) any) *sql.InsertBuilder {
	b := sql.Dialect(drv.Dialect()).Insert(in.Name).Schema(in.Schema).Columns(in.Source, in.MessageID, in.ReceivedAt)
	if keys[0].ID != nil {
		b.Columns(in.ID) // another one
	}
	for _, k := range keys {
		values := []any{text(k.Source), text(k.MessageID), sql.Raw(databaseTime)}
		if k.ID != nil {
			values = append(values, k.ID)
		}
		b.Values(values...)
	}
	return b
}

// scan returns the keys that a query selects.
func (in Inbox) scan(ctx context.Context, drv dialect.Driver, text string, args []any) (map[[2]string]bool, error) {
	keys := make(map[[2]string]bool)
	err := query(ctx, drv, text, args, func(rows *sql.Rows) error {
		var k [2]string
		if err := rows.Scan(&k[0], &k[1]); err != nil {
			return err
		}
		keys[k] = true
		return nil
	})
	return keys, err
}

// insertMySQL inserts all keys with one statement, which the server takes back as a
// whole if one of them is there. Then each has a statement of its own, because nothing
// that MySQL and MariaDB have in common tells which of several were inserted.
func (in Inbox) insertMySQL(ctx context.Context, drv dialect.Driver, keys []ReceivedKey) ([]bool, error) {
	inserted := make([]bool, len(keys))
	if len(keys) > 1 {
		query, args := in.insert(drv, keys, argument).Query()
		switch err := drv.Exec(ctx, query, args, nil); {
		case err == nil:
			for i := range inserted {
				inserted[i] = true
			}
			return inserted, nil
		case !isMySQLDuplicate(err):
			return nil, err
		}
	}
	for i, k := range keys {
		query, args := in.insert(drv, keys[i:i+1], mysqlLiteral).Query()
		switch err := drv.Exec(ctx, query, args, nil); {
		case err == nil:
			inserted[i] = true
		case !isMySQLDuplicate(err):
			return nil, err
		case in.Exact && !isMySQLPrimary(err): // a repeat
		default:
			if err := in.checkRepeat(ctx, drv, k, err); err != nil {
				return nil, err
			}
		}
	}
	return inserted, nil
}

// checkRepeat returns an error unless the key is in the inbox, byte for byte. What is
// refused for any other reason is no repeat, and to drop it would be to lose it. The read
// locks, because one that doesn't may see the table as it was before.
func (in Inbox) checkRepeat(ctx context.Context, drv dialect.Driver, k ReceivedKey, refused error) error {
	b := sql.Dialect(dialect.MySQL)
	query, args := b.Select(in.Source, in.MessageID).From(b.Table(in.Name).Schema(in.Schema)).
		Where(sql.And(sql.EQ(in.Source, mysqlLiteral(k.Source)), sql.EQ(in.MessageID, mysqlLiteral(k.MessageID)))).Query()
	found, err := in.scan(ctx, drv, query+" LOCK IN SHARE MODE", args)
	switch {
	case err != nil:
		return err
	case !found[[2]string{k.Source, k.MessageID}]:
		return fmt.Errorf("table %s takes the key for one that is there, and it isn't; expected columns %s and %s that compare exactly, such as VARBINARY(255), and no other unique index: %s", in.Name, in.Source, in.MessageID, refused.Error())
	default:
		return nil
	}
}

// isMySQLDuplicate knows ER_DUP_ENTRY.
func isMySQLDuplicate(err error) bool {
	number, ok := mysqlNumber(err)
	return ok && number == 1062
}

// isMySQLPrimary reports whether an ER_DUP_ENTRY may be of the primary key, which the text
// names last: with the table's name on MySQL, without it on MariaDB.
func isMySQLPrimary(err error) bool { return strings.Contains(err.Error(), "PRIMARY'") }

// Check reports whether the inbox compares its keys exactly, and refuses no other row as a
// duplicate but by its primary key. It returns an error if the inbox lacks its unique index,
// without which each copy of a message would be its first. Other databases than MySQL and
// MariaDB refuse the insertion then, and tell a repeat from other rows.
func (in Inbox) Check(ctx context.Context, drv dialect.Driver) (exact bool, _ error) {
	if drv.Dialect() != dialect.MySQL {
		return false, nil
	}
	schema, args := "DATABASE()", []any{in.Name}
	if in.Schema != "" {
		schema, args = "?", []any{in.Schema, in.Name}
	}
	from := " FROM information_schema.%s WHERE table_schema = " + schema + " AND table_name = ?"
	columns := []any{in.Source, in.MessageID}
	unique := "SELECT index_name" + fmt.Sprintf(from, "statistics") + " AND non_unique = 0 GROUP BY index_name"
	text := "SELECT (SELECT COUNT(*) FROM (" + unique + " HAVING COUNT(*) = 2 AND SUM(column_name IN (?, ?)) = 2 AND COUNT(sub_part) = 0) AS fit)" +
		", (SELECT COUNT(*) FROM (" + unique + ") AS uniques WHERE index_name <> 'PRIMARY')" +
		", (SELECT COUNT(*)" + fmt.Sprintf(from, "columns") + " AND column_name IN (?, ?) AND data_type = 'varbinary' AND character_maximum_length >= " + strconv.Itoa(annotation.KeySize) + ")"
	err := query(ctx, drv, text, slices.Concat(args, columns, args, args, columns), func(rows *sql.Rows) error {
		var fit, uniques, binary int
		if err := rows.Scan(&fit, &uniques, &binary); err != nil {
			return err
		}
		if fit == 0 {
			return fmt.Errorf("table %s has no unique index on %s and %s; create it as ent's migration does", in.Name, in.Source, in.MessageID)
		}
		exact = uniques == fit && binary == len(columns)
		return nil
	})
	return exact, err
}

// DeleteOld deletes keys that are older than so many seconds, the oldest first, and at
// most limit of them. It returns how many it deleted. Those that another transaction
// holds are left to it.
func (in Inbox) DeleteOld(ctx context.Context, drv dialect.Driver, seconds int64, limit int) (n int, err error) {
	statement := in.deleteOld(drv.Dialect(), seconds, limit)
	if drv.Dialect() == dialect.SQLite {
		err = write(ctx, drv, func(tx dialect.Tx) error {
			n, err = execCount(ctx, tx, statement, []any{})
			return err
		})
		return n, err
	}
	t, err := begin(ctx, drv, false)
	if err != nil {
		return 0, err
	}
	defer t.end()
	if n, err = execCount(ctx, t, statement, []any{}); err != nil {
		return 0, err
	}
	return n, t.commit(ctx)
}

func (in Inbox) deleteOld(dialectName string, seconds int64, limit int) string {
	age := strconv.FormatInt(seconds, 10)
	b := &sql.Builder{}
	b.SetDialect(dialectName)
	table := func() { writeTable(b, in.Schema, in.Name) }
	old := func(before, thenBy string) {
		b.WriteString(" WHERE ").Ident(in.ReceivedAt).WriteString(" < " + before + " ORDER BY ").Ident(in.ReceivedAt)
		if thenBy != "" {
			b.Comma().Ident(thenBy)
		}
		b.WriteString(" LIMIT " + strconv.Itoa(limit))
	}
	b.WriteString("DELETE FROM ")
	table()
	switch dialectName {
	case dialect.MySQL:
		old("FROM_UNIXTIME(UNIX_TIMESTAMP() - "+age+")", in.ID) // a replica must delete the same rows
	case dialect.SQLite:
		b.WriteString(" WHERE ").Ident(in.ID).WriteString(" IN (SELECT ").Ident(in.ID).WriteString(" FROM ")
		table()
		old("datetime('now', '-"+age+" seconds')", "")
		b.WriteString(")")
	default:
		// As an array, because a plain IN may be planned to lock more rows than that.
		b.WriteString(" WHERE ").Ident(in.ID).WriteString(" = ANY(ARRAY(SELECT ").Ident(in.ID).WriteString(" FROM ")
		table()
		old("CURRENT_TIMESTAMP - INTERVAL '"+age+" seconds'", "")
		b.WriteString(" FOR UPDATE SKIP LOCKED))")
	}
	return b.String()
}
