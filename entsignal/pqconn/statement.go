package pqconn

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"github.com/lib/pq"
)

// pqConn has the methods of a lib/pq connection.
type pqConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.NamedValueChecker
	driver.Pinger
	driver.QueryerContext
	driver.SessionResetter
	driver.Validator
}

// pqStmt has the methods of a lib/pq statement.
type pqStmt interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

// preparing is a connection that keeps statements prepared. lib/pq itself prepares
// a statement with arguments each time, which costs a round trip.
type preparing struct {
	pqConn
	// cut is set when the context of a prepared statement has ended. lib/pq has
	// asked the server to cancel it, and the cancellation may reach a later
	// statement.
	cut bool
	// seen are the texts that were used once. Preparing a statement at its second
	// use costs as much as lib/pq does, and a text that is never used again takes
	// no place.
	seen       *simplelru.LRU[string, struct{}]
	statements *simplelru.LRU[string, pqStmt]
}

func newPreparing(inner pqConn, limit int) (*preparing, error) {
	seen, err := simplelru.NewLRU[string, struct{}](limit, nil)
	if err != nil {
		return nil, err
	}
	// If closing a statement fails, lib/pq already knows that its connection is broken.
	statements, err := simplelru.NewLRU(limit, func(_ string, s pqStmt) { _ = s.Close() })
	if err != nil {
		return nil, err
	}
	return &preparing{pqConn: inner, seen: seen, statements: statements}, nil
}

// QueryContext implements [driver.QueryerContext].
func (c *preparing) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	return run(ctx, c, query, args, pqStmt.QueryContext, pqConn.QueryContext)
}

// ExecContext implements [driver.ExecerContext].
func (c *preparing) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	return run(ctx, c, query, args, pqStmt.ExecContext, pqConn.ExecContext)
}

// run runs a statement, prepared if that is worth it.
func run[R any](
	ctx context.Context, c *preparing, query string, args []driver.NamedValue,
	prepared func(pqStmt, context.Context, []driver.NamedValue) (R, error),
	plain func(pqConn, context.Context, string, []driver.NamedValue) (R, error),
) (R, error) {
	if len(args) == 0 { // takes only one round trip anyway
		return plain(c.pqConn, ctx, query, args)
	}
	s, err := c.statement(ctx, query)
	if err != nil {
		var none R
		return none, err
	}
	if s == nil {
		return plain(c.pqConn, ctx, query, args)
	}
	r, err := prepared(s, ctx, args)
	if err == nil {
		return r, nil
	}
	c.cut = c.cut || ctx.Err() != nil
	var refused *pq.Error
	if !errors.As(err, &refused) {
		return r, err
	}
	if mayBeStale(refused) {
		c.statements.Remove(query)
	}
	if isStale(refused) {
		// Within a transaction the server rejects this too.
		if again, againErr := plain(c.pqConn, ctx, query, args); againErr == nil {
			return again, nil
		}
	}
	return r, err
}

// IsValid implements [driver.Validator].
func (c *preparing) IsValid() bool { return !c.cut && c.pqConn.IsValid() }

// ResetSession implements [driver.SessionResetter].
func (c *preparing) ResetSession(ctx context.Context) error {
	if c.cut {
		return driver.ErrBadConn
	}
	return c.pqConn.ResetSession(ctx)
}

// statement returns the prepared statement for a text, or nil if it isn't worth
// preparing yet.
func (c *preparing) statement(ctx context.Context, query string) (pqStmt, error) {
	if s, ok := c.statements.Get(query); ok {
		return s, nil
	}
	if !c.seen.Remove(query) {
		c.seen.Add(query, struct{}{})
		return nil, nil
	}
	prepared, err := c.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	s, ok := prepared.(pqStmt)
	if !ok {
		return nil, errors.Join(fmt.Errorf("pqconn: WithStatementCache: a statement of this lib/pq (%T) can't do what those of 1.12 can", prepared), prepared.Close())
	}
	c.statements.Add(query, s)
	return s, nil
}

// isStale reports whether the server didn't run a prepared statement because it was
// deallocated (invalid_sql_statement_name), or because a migration changed its
// result (feature_not_supported).
func isStale(err *pq.Error) bool { return err.Code == "26000" || err.Code == "0A000" }

// mayBeStale reports whether a migration may have made a prepared statement fail:
// an argument of another type causes a data exception, or an error of the class of
// names and types.
func mayBeStale(err *pq.Error) bool {
	class := err.Code.Class()
	return isStale(err) || class == "22" || class == "42"
}
