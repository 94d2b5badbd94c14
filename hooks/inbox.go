package hooks

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"entgo.io/ent/dialect"
	"entgo.io/ent/schema/field"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/internal/inbox"
	"github.com/entsignal/signalbus/internal/table"
	"github.com/entsignal/signalbus/internal/txn"
)

// An Inbox is what generated code tells of an entity with mixin.Inbox.
type Inbox = inbox.Inbox

// NewID returns the NewID of an [Inbox] whose ids have a default, and perhaps a
// ValueScanner. ent sets both while the program starts.
func NewID[ID any](newID *func() ID, scanner *field.TypeValueScanner[ID]) func() (any, error) {
	return func() (any, error) {
		if *newID == nil {
			return nil, errors.New("the default of the id is not set: import the package runtime of the ent project in the program's main, as ent's documentation of hooks tells")
		}
		id := (*newID)()
		if scanner == nil {
			return id, nil
		}
		return table.Stored(scanner, id), nil
	}
}

// Once is [OnceMany] for one message.
func Once[D any, X Tx](ctx context.Context, c *Client[D, X], client Transactor[D, X], in Inbox, key entsignal.MessageKey, fn func(context.Context, X) error, opts []entsignal.AtomicOption) (bool, error) {
	first, err := OnceMany(ctx, c, client, in, []entsignal.MessageKey{key}, func(ctx context.Context, tx X, _ []entsignal.MessageKey) error { return fn(ctx, tx) }, opts)
	return len(first) > 0, err
}

// OnceMany stores the keys in the inbox and runs fn with those that were not there, in
// one transaction of [InTx]. It returns them. If there are none it doesn't run fn.
func OnceMany[D any, X Tx](ctx context.Context, c *Client[D, X], client Transactor[D, X], in Inbox, keys []entsignal.MessageKey, fn func(context.Context, X, []entsignal.MessageKey) error, opts []entsignal.AtomicOption) ([]entsignal.MessageKey, error) {
	if err := in.Check(keys); err != nil || len(keys) == 0 {
		return nil, err
	}
	return InTx(ctx, c, client, func(ctx context.Context, tx X) (first []entsignal.MessageKey, err error) {
		_, drv := c.txs.Of(tx)
		done := false
		// Deferred, because fn may panic.
		defer func() {
			if !done {
				c.refuseCommit(c.Transaction(drv), cmp.Or(err, errNotReturned))
			}
		}()
		if err := c.checkInbox(ctx, drv, in); err != nil {
			return nil, err
		}
		if first, err = in.Insert(ctx, drv, keys); err != nil {
			return nil, &txn.Over{Err: err} // whoever has inserted the key has committed
		}
		if len(first) > 0 {
			if err := fn(ctx, tx, first); err != nil {
				return nil, err
			}
		}
		done = true
		return first, nil
	}, opts)
}

var errNotReturned = errors.New("its function has not returned")

// refuseCommit lets nobody commit the transaction: not the call that is joined, whose
// function may swallow the error. It would keep the key of a message whose work was not
// done.
func (c *Client[D, X]) refuseCommit(d *D, cause error) {
	c.txs.Watch(d, func(context.Context, func() error) error {
		return fmt.Errorf("entsignal: not committed, because a message was not handled in the transaction: %w", cause)
	}, func() {})
}

// checkInbox checks the table of an inbox once.
func (c *Client[D, X]) checkInbox(ctx context.Context, drv dialect.Driver, in Inbox) error {
	at := [2]string{in.Schema, in.Table}
	if _, ok := c.inboxes.Load(at); ok {
		return nil
	}
	if err := in.CheckTable(ctx, drv); err != nil {
		return err
	}
	c.inboxes.Store(at, true)
	return nil
}

// Purge deletes the keys of an inbox that are older than its retention, and returns how
// many that are. It returns an error that wraps [entsignal.ErrInTx] if drv is a
// transaction.
func (c *Client[D, X]) Purge(ctx context.Context, drv dialect.Driver, in Inbox) (int, error) {
	if c.Transaction(drv) != nil {
		return 0, fmt.Errorf("entsignal: inbox %s: Purge has transactions of its own: %w", in.Name, entsignal.ErrInTx)
	}
	return in.Purge(ctx, drv)
}
