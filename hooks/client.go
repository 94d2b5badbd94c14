// Package hooks is what generated code says to the library, all of it; applications
// don't use it. A generated package makes its bus with [NewBus], of signals that it
// describes by a [Model] each. Its client holds a [Client], whose hooks note which
// signals are created, and which hands them to the bus when their transaction is
// committed. Atomic and Lock of the generated client are [InTx] and [Client.Lock].
//
//	ent hook: OnCreate ──▶ collector of the transaction ──[commit]──▶ bus: autoflush
//	                                     └──[rollback]──▶ dropped
package hooks

import (
	"context"

	"entgo.io/ent/dialect"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/internal/engine"
	"github.com/entsignal/signalbus/internal/txn"
)

// Tx is what the library needs of a generated *Tx.
type Tx interface {
	comparable
	Commit() error
	Rollback() error
}

// Transactions tells what the library can't know of the transactions of a
// generated package. D is its unexported txDriver, X its *Tx.
type Transactions[D any, X Tx] interface {
	// Inner returns the transaction that d wraps.
	Inner(d *D) dialect.Tx
	// Outer returns the driver that has begun d.
	Outer(d *D) dialect.Driver
	// Wrap puts what wrap returns in the place of the transaction that d wraps.
	Wrap(d *D, wrap func(dialect.Tx) dialect.Tx)
	// Watch adds a commit hook and a rollback hook to the transaction.
	Watch(d *D, commit func(ctx context.Context, next func() error) error, rollback func())
	// FromContext returns the transaction that ctx carries, or nil.
	FromContext(ctx context.Context) X
	// NewContext returns a context that carries the transaction.
	NewContext(ctx context.Context, tx X) context.Context
	// Of returns the state of the transaction's client, and its driver.
	Of(tx X) (*Client[D, X], dialect.Driver)
	// Unwrap makes an entity of the transaction d one of its client; anything
	// else it leaves alone.
	Unwrap(d *D, v any)
}

// Client is the state of one generated client: its bus, and a collector for
// each of its open transactions. All copies of a client share it: those of
// its transactions and of Debug. Its methods may be called by several
// goroutines.
type Client[D any, X Tx] struct {
	txs  Transactions[D, X]
	bus  *engine.Binding
	open collectors[D]
	lane *txn.Lane

	driver dialect.Driver // that the client was opened with; set by Clients.Add
	// witnesses are the buses of a state that belongs to no client: all of the
	// package. They log that what is created is not collected.
	witnesses []*engine.Binding
}

// NewClient returns the state of a new client.
func NewClient[D any, X Tx](txs Transactions[D, X]) *Client[D, X] {
	return &Client[D, X]{txs: txs, lane: txn.NewLane()}
}

// Bind binds bus to the client. It must be called before the client is used.
func (c *Client[D, X]) Bind(bus *entsignal.Bus, client engine.Client) {
	c.bus = engine.Bind(bus, client)
}

// Flush runs a flush of the named signal. It returns [entsignal.ErrInTx] if
// drv is a transaction.
func (c *Client[D, X]) Flush(ctx context.Context, drv dialect.Driver, mode entsignal.Mode, name string, opts []entsignal.FlushOption) (int, error) {
	if c.Transaction(drv) != nil {
		return 0, entsignal.ErrInTx
	}
	return c.bus.Flush(ctx, mode, name, opts)
}

// Send sends the signals with these ids. It returns [entsignal.ErrInTx] if
// drv is a transaction.
func (c *Client[D, X]) Send(ctx context.Context, drv dialect.Driver, name string, ids []any) (int, error) {
	if c.Transaction(drv) != nil {
		return 0, entsignal.ErrInTx
	}
	return c.bus.Send(ctx, name, ids)
}

// Transaction returns the transaction that drv runs in, or nil.
func (c *Client[D, X]) Transaction(drv dialect.Driver) *D { return Transaction(c.txs, drv) }

// Transaction returns the transaction that drv runs in, or nil. ent lets a
// debug client start a transaction within another, whose Commit does nothing;
// the outermost is the one that counts.
func Transaction[D any, X Tx](txs Transactions[D, X], drv dialect.Driver) *D {
	var outermost *D
	var at any = drv
	for {
		switch d := at.(type) {
		case *dialect.DebugDriver:
			at = d.Driver
		case *dialect.DebugTx:
			at = d.Tx
		case *before:
			at = d.Driver
		default:
			tx, ok := at.(*D)
			if !ok || tx == nil {
				return outermost
			}
			outermost, at = tx, txs.Inner(tx)
		}
	}
}
