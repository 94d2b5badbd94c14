package pqconn

import (
	"context"
	"database/sql/driver"
	"errors"
	"net"
	"sync/atomic"

	"github.com/lib/pq"
)

// writable is a connection that the pool drops when its server no longer accepts
// writes, such as after a failover. All connections that were opened before are
// dropped too, because they lead to the same server, and the address may lead to
// another one now.
type writable struct {
	pqConn
	// turns counts how often a server of the connector was found to be read-only.
	// born is the count when this connection was opened.
	turns *atomic.Int64
	born  int64
	// asked means that the program asked for a read-only transaction.
	asked bool
}

// BeginTx implements [driver.ConnBeginTx]. lib/pq asks for a writable transaction,
// which a standby rejects with feature_not_supported.
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

// notice returns err. If err is a server's refusal to write, with the given code,
// this connection and all older ones are marked as unusable.
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

// notConnected returns the error of a failed connection attempt. That no server
// fits target_session_attrs is only a text in lib/pq. It is turned into a network
// error here, because it means that no usable server is there.
func notConnected(err error, attrs pq.TargetSessionAttrs) error {
	if attrs == "" || attrs == pq.TargetSessionAttrsAny || errors.As(err, new(*pq.Error)) || errors.As(err, new(*net.OpError)) {
		return err
	}
	return &net.OpError{Op: "connect", Net: "target_session_attrs=" + string(attrs), Err: err}
}
