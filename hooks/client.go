// Package hooks is the part of the library between a generated client and its
// bus: the ent hooks that note which signals are created, and the collectors
// that hold them until their transaction is committed. Generated code uses
// it; applications don't.
package hooks

import (
	"context"
	stdsql "database/sql"

	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/sql"

	"github.com/entsignal/signalbus/entsignal"
)

// Transactions tells what the library can't know of the transactions of a
// generated client. D is its unexported txDriver.
type Transactions[D any] interface {
	// Inner returns the transaction that d wraps.
	Inner(d *D) dialect.Tx
	// Watch adds a commit hook and a rollback hook to the transaction.
	Watch(d *D, commit func(ctx context.Context, next func() error) error, rollback func())
}

// Client is the state of one generated client: its bus, and a collector for
// each of its open transactions. All copies of a client share it: those of
// its transactions and of Debug. Its methods may be called by several
// goroutines.
type Client[D any] struct {
	txs  Transactions[D]
	bus  *entsignal.Binding
	open collectors[D]
}

// NewClient returns the state of a new client.
func NewClient[D any](txs Transactions[D]) *Client[D] {
	return &Client[D]{txs: txs}
}

// Bind binds bus to the client. It must be called before the client is used.
func (c *Client[D]) Bind(bus *entsignal.Bus, client entsignal.Client) {
	c.bus = bus.Bind(client)
}

// Flush runs a flush of the named signal. It returns [entsignal.ErrInTx] if
// drv is a transaction.
func (c *Client[D]) Flush(ctx context.Context, drv dialect.Driver, mode entsignal.Mode, name string, opts []entsignal.FlushOption) (int, error) {
	if c.transaction(drv) != nil {
		return 0, entsignal.ErrInTx
	}
	return c.bus.Flush(ctx, mode, name, opts)
}

// Send sends the signals with these ids. It returns [entsignal.ErrInTx] if
// drv is a transaction.
func (c *Client[D]) Send(ctx context.Context, drv dialect.Driver, name string, ids []any) (int, error) {
	if c.transaction(drv) != nil {
		return 0, entsignal.ErrInTx
	}
	return c.bus.Send(ctx, name, ids)
}

// transaction returns the transaction that drv runs in, or nil. ent lets a
// debug client start a transaction within another, whose Commit does nothing;
// the outermost is the one that counts.
func (c *Client[D]) transaction(drv dialect.Driver) *D {
	var outermost *D
	var at any = drv
	for {
		switch d := at.(type) {
		case *dialect.DebugDriver:
			at = d.Driver
		case *dialect.DebugTx:
			at = d.Tx
		default:
			tx, ok := at.(*D)
			if !ok {
				return outermost
			}
			outermost, at = tx, c.txs.Inner(tx)
		}
	}
}

// isPool reports whether drv is surely a connection pool, so that what was
// done through it is committed. A driver over a *sql.Tx that ent doesn't know
// of is not, and neither is a driver of another type.
func isPool(drv dialect.Driver) bool {
	if debug, ok := drv.(*dialect.DebugDriver); ok {
		drv = debug.Driver
	}
	d, ok := drv.(*sql.Driver)
	if !ok {
		return false
	}
	_, ok = d.ExecQuerier.(*stdsql.DB)
	return ok
}
