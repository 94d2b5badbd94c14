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
	joins := c.joins(ctx, client)
	if len(keys) == 1 && !joins {
		leave, err := c.deliveries.Enter(ctx, in, keys[0])
		if err != nil {
			return nil, err
		}
		defer leave()
	}
	first, err := InTx(ctx, c, client, func(ctx context.Context, tx X) (first []entsignal.MessageKey, err error) {
		_, drv := c.txs.Of(tx)
		done := false
		// Deferred, because fn may panic.
		defer func() {
			if !done {
				c.refuseCommit(c.Transaction(drv), cmp.Or(err, errNotReturned))
			}
		}()
		var exact bool
		if exact, err = c.checkInbox(ctx, drv, in); err != nil {
			return nil, err
		}
		if first, err = in.Insert(ctx, drv, keys, exact); err != nil {
			return nil, &txn.Over{Err: err} // whoever has inserted the key has committed
		}
		if len(first) > 0 {
			if err := fn(ctx, tx, first); err != nil {
				return nil, err
			}
		}
		done = true
		if len(first) == 0 && !joins {
			return nil, errNothingToCommit
		}
		return first, nil
	}, opts)
	if errors.Is(err, errNothingToCommit) {
		return nil, nil
	}
	return first, err
}

// errNothingToCommit ends the transaction of a repeat. On MySQL and MariaDB an insertion
// that finds its key has written something, and a commit would wait for the disk.
var errNothingToCommit = errors.New("all messages were handled before")

var errNotReturned = errors.New("its function has not returned")

// refuseCommit lets nobody commit the transaction: not the call that is joined, whose
// function may swallow the error. It would keep the key of a message whose work was not
// done.
func (c *Client[D, X]) refuseCommit(d *D, cause error) {
	c.txs.Watch(d, func(context.Context, func() error) error {
		return fmt.Errorf("entsignal: not committed, because a message was not handled in the transaction: %w", cause)
	}, func() {})
}

// checkInbox checks the table of an inbox once. It returns what CheckTable reports.
func (c *Client[D, X]) checkInbox(ctx context.Context, drv dialect.Driver, in Inbox) (exact bool, _ error) {
	at := [2]string{in.Schema, in.Table}
	if exact, ok := c.inboxes.Load(at); ok {
		return exact.(bool), nil
	}
	exact, err := in.CheckTable(ctx, drv)
	if err != nil {
		return false, err
	}
	c.inboxes.Store(at, exact)
	return exact, nil
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
