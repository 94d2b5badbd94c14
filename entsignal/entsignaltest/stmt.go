package entsignaltest

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"
)

// decision is whether a fault strikes a statement outside of a transaction, which
// is one of its own.
type decision struct {
	query string
	fault *commitFault // nil: none does
}

// decide returns the fault that strikes a statement, or nil. A statement in a
// transaction is noted for the commit.
func (c *conn) decide(query string) decision {
	if c.open != nil {
		c.open.note(query)
		return decision{query: query}
	}
	if d := c.decided; d != nil && d.query == query {
		c.decided = nil
		return *d
	}
	var x transaction
	x.note(query)
	return decision{query: query, fault: c.database.commit(x)}
}

// execute runs a statement as the faults say.
func execute[R any](c *conn, query string, run func() (R, error)) (R, error) {
	var none R
	d := c.decide(query)
	if d.fault != nil && !d.fault.done {
		d.fault.strike()
		return none, ErrConnectionLost
	}
	result, err := run()
	switch {
	case errors.Is(err, driver.ErrSkip): // database/sql is going to prepare it
		c.decided = &d
		return none, err
	case err != nil || d.fault == nil:
		return result, c.seen(err)
	}
	if rows, ok := any(result).(driver.Rows); ok { // it is executed when they are read
		values := make([]driver.Value, len(rows.Columns()))
		for err == nil {
			err = rows.Next(values)
		}
		if closed := rows.Close(); err == io.EOF { //nolint:errorlint // the contract of Next
			err = closed
		}
		if err != nil {
			return none, c.seen(err)
		}
	}
	d.fault.strike()
	return none, ErrConnectionLost
}

// stmt is a prepared statement of such a connection.
type stmt struct {
	driver.Stmt
	conn  *conn
	query string
}

// ExecContext implements [driver.StmtExecContext].
func (s *stmt) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	return execute(s.conn, s.query, func() (driver.Result, error) {
		if execer, ok := s.Stmt.(driver.StmtExecContext); ok {
			return execer.ExecContext(ctx, args)
		}
		return s.Exec(positional(args)) //nolint:staticcheck // what old drivers have
	})
}

// QueryContext implements [driver.StmtQueryContext].
func (s *stmt) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	return execute(s.conn, s.query, func() (driver.Rows, error) {
		if queryer, ok := s.Stmt.(driver.StmtQueryContext); ok {
			return queryer.QueryContext(ctx, args)
		}
		return s.Query(positional(args)) //nolint:staticcheck // what old drivers have
	})
}

// CheckNamedValue implements [driver.NamedValueChecker].
func (s *stmt) CheckNamedValue(v *driver.NamedValue) (err error) {
	switch inner := s.Stmt.(type) {
	case driver.NamedValueChecker:
		return inner.CheckNamedValue(v)
	case driver.ColumnConverter: //nolint:staticcheck // what old drivers have
		v.Value, err = inner.ColumnConverter(v.Ordinal - 1).ConvertValue(v.Value)
		return err
	default:
		return driver.ErrSkip
	}
}

func positional(args []driver.NamedValue) []driver.Value {
	values := make([]driver.Value, len(args))
	for i, arg := range args {
		values[i] = arg.Value
	}
	return values
}
