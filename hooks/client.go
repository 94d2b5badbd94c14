// Package hooks is the library's interface for generated code. Applications don't
// use it. A generated package makes its bus with [NewBus], from signals that it
// describes with a [Model] each. The generated client holds a [Client]. Its hooks
// collect the signals that a transaction creates, and it passes them to the bus
// after the commit. Atomic and Lock of the generated client are [InTx] and
// [Client.Lock].
//
//	ent hook: OnCreate ──▶ collector of the transaction ──[commit]──▶ bus: autoflush
//	                                     └──[rollback]──▶ dropped
package hooks

import (
	"context"
	"sync"

	"entgo.io/ent/dialect"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/internal/engine"
	"github.com/entsignal/signalbus/internal/inbox"
	"github.com/entsignal/signalbus/internal/txn"
)

// Tx is what the library needs of a generated *Tx.
type Tx interface {
	comparable
	Commit() error
	Rollback() error
}

// Transactions gives the library access to the transactions of a generated package.
// D is its unexported txDriver, X its *Tx.
type Transactions[D any, X Tx] interface {
	// Inner returns the transaction that d wraps.
	Inner(d *D) dialect.Tx
	// Outer returns the driver that began d.
	Outer(d *D) dialect.Driver
	// Wrap replaces the transaction that d wraps by the result of wrap.
	Wrap(d *D, wrap func(dialect.Tx) dialect.Tx)
	// Watch adds a commit hook and a rollback hook to the transaction.
	Watch(d *D, commit func(ctx context.Context, next func() error) error, rollback func())
	// FromContext returns the transaction that ctx carries, or nil.
	FromContext(ctx context.Context) X
	// NewContext returns a context that carries the transaction.
	NewContext(ctx context.Context, tx X) context.Context
	// Of returns the state of the transaction's client, and its driver.
	Of(tx X) (*Client[D, X], dialect.Driver)
	// Unwrap turns an entity of the transaction d into one of its client. It
	// ignores anything else.
	Unwrap(d *D, v any)
}

// Client is the state of one generated client: its bus, and a collector for each
// open transaction. All copies of a client share it, also the clients of its
// transactions and of Debug. Its methods are safe for concurrent use.
type Client[D any, X Tx] struct {
	txs     Transactions[D, X]
	bus     *engine.Binding
	open    collectors[D]
	lane    *txn.Lane
	inboxes sync.Map // the tables of inboxes that are known to be fit, with what CheckTable reports
	// deliveries are those for Once that begin a transaction of their own. One that joins a
	// transaction doesn't wait there: it holds locks of the database, which sees when two
	// wait for each other.
	deliveries inbox.Gate

	driver dialect.Driver // that the client was opened with; set by Clients.Add
	// witnesses are all buses of the package, if this state belongs to no client.
	// They log that signals which are created with it are not collected.
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

// Flush runs a flush of the named signal. It returns [entsignal.ErrInTx] if drv is
// a transaction.
func (c *Client[D, X]) Flush(ctx context.Context, drv dialect.Driver, mode entsignal.Mode, name string, opts []entsignal.FlushOption) (int, error) {
	if c.Transaction(drv) != nil {
		return 0, entsignal.ErrInTx
	}
	return c.bus.Flush(ctx, mode, name, opts)
}

// Send sends the signals with these ids. It returns [entsignal.ErrInTx] if drv is a
// transaction.
func (c *Client[D, X]) Send(ctx context.Context, drv dialect.Driver, name string, ids []any) (int, error) {
	if c.Transaction(drv) != nil {
		return 0, entsignal.ErrInTx
	}
	return c.bus.Send(ctx, name, ids)
}

// Transaction returns the transaction that drv runs in, or nil.
func (c *Client[D, X]) Transaction(drv dialect.Driver) *D { return Transaction(c.txs, drv) }

// Transaction returns the transaction that drv runs in, or nil. ent lets a debug
// client start a transaction within another one. Committing the inner one does
// nothing, so the outermost is returned.
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
