package database

import (
	"context"
	stdsql "database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"

	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/sql"
)

// lateTx is a connection of lib/pq on which a transaction begins together with its first
// statement. database/sql would send BEGIN by itself, which takes a round trip more.
type lateTx struct {
	conn  *stdsql.Conn
	begun bool
}

// openLate takes a connection of the pool for a transaction of its own, or returns nil if BEGIN
// must be left to database/sql: with other drivers, with connections that somebody has wrapped,
// who expects to be asked for a transaction, with a debug driver, which would not see the
// statement, and with variables in ctx, which ent sets only in transactions that it knows.
func openLate(ctx context.Context, drv dialect.Driver) (*lateTx, error) {
	if !driverTraitsOf(drv).several || hasVars(ctx) {
		return nil, nil
	}
	ent, ok := drv.(*sql.Driver)
	if !ok {
		return nil, nil
	}
	conn, err := ent.DB().Conn(ctx)
	if err != nil {
		return nil, err
	}
	err = conn.Raw(func(c any) error {
		_, ok = c.(driver.QueryerContext)
		ok = ok && isPQ(c)
		return nil
	})
	if err != nil || !ok {
		return nil, errors.Join(err, conn.Close())
	}
	return &lateTx{conn: conn}, nil
}

// isPQ reports whether c is a connection of lib/pq or pqconn.
func isPQ(c any) bool {
	path := packageOf(c)
	return strings.HasSuffix(path, "/lib/pq") || strings.HasSuffix(path, "/entsignal/pqconn")
}

// Commit implements [driver.Tx].
func (l *lateTx) Commit() error { return l.end("COMMIT") }

// Rollback implements [driver.Tx].
func (l *lateTx) Rollback() error { return l.end("ROLLBACK") }

// end ends the transaction, and gives the connection back.
func (l *lateTx) end(how string) error {
	if l.conn == nil {
		return stdsql.ErrTxDone
	}
	conn := l.conn
	l.conn = nil
	var err error
	if l.begun {
		rawErr := conn.Raw(func(c any) error {
			if err = execTagged(c.(driver.QueryerContext), how); err != nil {
				return driver.ErrBadConn // nobody gets it with a transaction in it
			}
			return nil
		})
		if err == nil {
			err = rawErr
		}
	}
	_ = conn.Close() // says only that it was closed before
	return err
}

// execTagged runs a statement without a result. If the transaction has failed, the server rolls it
// back when it is to commit it, which only the tag of its answer tells.
func execTagged(c driver.QueryerContext, statement string) error {
	rows, err := c.QueryContext(context.Background(), statement, nil)
	if err != nil {
		return err
	}
	if tagged, ok := rows.(interface{ Tag() string }); ok && tagged.Tag() != statement {
		err = fmt.Errorf("the server answers %s with %s", statement, tagged.Tag())
	}
	return errors.Join(err, rows.Close())
}

// hasVars reports whether ctx has variables that ent is to set for each statement; see
// [sql.WithVar].
func hasVars(ctx context.Context) bool {
	asked := &varsOf{Context: ctx}
	sql.WithVar(asked, "", "") // looks for those that are there
	return asked.found
}

// varsOf notices what ent finds in a context, and hides it from ent.
type varsOf struct {
	context.Context
	found bool
}

// Value implements [context.Context].
func (v *varsOf) Value(key any) any {
	v.found = v.found || v.Context.Value(key) != nil
	return nil
}
