package pqconn

import (
	"context"
	"database/sql/driver"
	"errors"
	"net"
	"sync/atomic"

	"github.com/lib/pq"
)

// writable is a connection that its pool drops when the server turns out to take
// no writes anymore, as after a failover. All connections that were opened before
// that go with it: they lead to the same server, and the address may lead to
// another one by now.
type writable struct {
	pqConn
	// turns counts how often a server of the connector was found to be read-only,
	// and born is the count at the time when this connection was opened.
	turns *atomic.Int64
	born  int64
	// asked: the transaction is read-only because the program wants it to be.
	asked bool
}

// BeginTx implements [driver.ConnBeginTx]. lib/pq asks for a transaction that
// writes, which a standby refuses with feature_not_supported.
func (c *writable) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	c.asked = opts.ReadOnly
	tx, err := c.pqConn.BeginTx(ctx, opts)
	return tx, c.notice(err, "0A000")
}

// QueryContext implements [driver.QueryerContext].
func (c *writable) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	rows, err := c.pqConn.QueryContext(ctx, query, args)
	return rows, c.notice(err, "25006")
}

// ExecContext implements [driver.ExecerContext].
func (c *writable) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	result, err := c.pqConn.ExecContext(ctx, query, args)
	return result, c.notice(err, "25006")
}

// notice returns err. If that is a server's refusal to write, with the code that
// it uses for that, the connection and its like have come to their end.
func (c *writable) notice(err error, code string) error {
	var refused *pq.Error
	if err != nil && !c.asked && errors.As(err, &refused) && string(refused.Code) == code {
		c.turns.CompareAndSwap(c.born, c.born+1)
	}
	return err
}

// IsValid implements [driver.Validator].
func (c *writable) IsValid() bool { return c.born == c.turns.Load() && c.pqConn.IsValid() }

// ResetSession implements [driver.SessionResetter].
func (c *writable) ResetSession(ctx context.Context) error {
	c.asked = false
	if c.born != c.turns.Load() {
		return driver.ErrBadConn
	}
	return c.pqConn.ResetSession(ctx)
}

// notConnected returns the error of a connection that couldn't be made. That no
// server is as target_session_attrs wants it lib/pq says in a text only; it is as
// good as a server that isn't there.
func notConnected(err error, attrs pq.TargetSessionAttrs) error {
	if attrs == "" || attrs == pq.TargetSessionAttrsAny || errors.As(err, new(*pq.Error)) || errors.As(err, new(*net.OpError)) {
		return err
	}
	return &net.OpError{Op: "connect", Net: "target_session_attrs=" + string(attrs), Err: err}
}
