package entsignaltest

import (
	"context"
	stdsql "database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
)

// connector takes connections from a pool, and returns them when they are closed.
type connector struct {
	pool     *stdsql.DB
	database *Database
}

// Driver implements [driver.Connector]. The library inspects the driver to find out
// what its connections can do.
func (c *connector) Driver() driver.Driver { return c.pool.Driver() }

// Connect implements [driver.Connector].
func (c *connector) Connect(ctx context.Context) (driver.Conn, error) {
	lent, err := c.pool.Conn(ctx)
	if err != nil {
		return nil, err
	}
	var inner driver.Conn
	err = lent.Raw(func(raw any) error {
		var ok bool
		if inner, ok = raw.(driver.Conn); !ok {
			return fmt.Errorf("entsignaltest: Driver: %T is not a driver.Conn", raw)
		}
		return nil
	})
	if err != nil {
		return nil, errors.Join(err, lent.Close())
	}
	return &conn{Conn: inner, lent: lent, database: c.database}, nil
}

// conn is a connection whose commits fail as its [Database] says.
type conn struct {
	driver.Conn
	lent     *stdsql.Conn
	database *Database
	open     *transaction // nil outside of one
	decided  *decision    // of a statement that comes again, to be prepared
	bad      bool         // the last call has found it broken
}

// Close returns the connection to its pool, which drops it if it is broken.
func (c *conn) Close() error {
	if c.bad {
		_ = c.lent.Raw(func(any) error { return driver.ErrBadConn })
	}
	if err := c.lent.Close(); !errors.Is(err, stdsql.ErrConnDone) {
		return err
	}
	return nil
}

// seen notes that the connection is broken, if err says so.
func (c *conn) seen(err error) error {
	c.bad = c.bad || errors.Is(err, driver.ErrBadConn)
	return err
}

// BeginTx implements [driver.ConnBeginTx].
func (c *conn) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	begin := func() (driver.Tx, error) { return c.Conn.Begin() } //nolint:staticcheck // what old drivers have
	if beginner, ok := c.Conn.(driver.ConnBeginTx); ok {
		begin = func() (driver.Tx, error) { return beginner.BeginTx(ctx, opts) }
	} else if opts != (driver.TxOptions{}) {
		return nil, fmt.Errorf("entsignaltest: Driver: %T doesn't support isolation levels", c.Conn)
	}
	tx, err := begin()
	if err != nil {
		return nil, c.seen(err)
	}
	c.open = &transaction{}
	return &faultyTx{Tx: tx, conn: c}, nil
}

// ExecContext implements [driver.ExecerContext].
func (c *conn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	execer, ok := c.Conn.(driver.ExecerContext)
	if !ok {
		return nil, driver.ErrSkip
	}
	return execute(c, query, func() (driver.Result, error) { return execer.ExecContext(ctx, query, args) })
}

// QueryContext implements [driver.QueryerContext].
func (c *conn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	queryer, ok := c.Conn.(driver.QueryerContext)
	if !ok {
		return nil, driver.ErrSkip
	}
	return execute(c, query, func() (driver.Rows, error) { return queryer.QueryContext(ctx, query, args) })
}

// PrepareContext implements [driver.ConnPrepareContext].
func (c *conn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	prepare := func() (driver.Stmt, error) { return c.Prepare(query) }
	if preparer, ok := c.Conn.(driver.ConnPrepareContext); ok {
		prepare = func() (driver.Stmt, error) { return preparer.PrepareContext(ctx, query) }
	}
	inner, err := prepare()
	if err != nil {
		return nil, c.seen(err)
	}
	return &stmt{Stmt: inner, conn: c, query: query}, nil
}

// Ping implements [driver.Pinger].
func (c *conn) Ping(ctx context.Context) error {
	pinger, ok := c.Conn.(driver.Pinger)
	if !ok {
		return nil
	}
	return c.seen(pinger.Ping(ctx))
}

// CheckNamedValue implements [driver.NamedValueChecker].
func (c *conn) CheckNamedValue(v *driver.NamedValue) error {
	checker, ok := c.Conn.(driver.NamedValueChecker)
	if !ok {
		return driver.ErrSkip
	}
	return checker.CheckNamedValue(v)
}

// faultyTx is a transaction of a [conn].
type faultyTx struct {
	driver.Tx
	conn *conn
}

// Commit implements [driver.Tx].
func (x *faultyTx) Commit() error {
	fault := x.conn.database.commit(*x.conn.open)
	x.conn.open = nil
	if fault == nil {
		return x.conn.seen(x.Tx.Commit())
	}
	end := x.Tx.Rollback
	if fault.done {
		end = x.Tx.Commit
	}
	if err := end(); err != nil {
		return x.conn.seen(err)
	}
	fault.strike()
	return ErrConnectionLost
}

// Rollback implements [driver.Tx].
func (x *faultyTx) Rollback() error {
	x.conn.open = nil
	return x.conn.seen(x.Tx.Rollback())
}
