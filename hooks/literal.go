package hooks

import (
	"context"
	"database/sql/driver"
	"fmt"
	"weak"

	"entgo.io/ent"
	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/sql"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/internal/txn"
)

// A client that was made from a config literal may lack our hooks. Its builders then note a
// signal before its first statement, because no code of ours runs after it. The id is read
// when the transaction ends.

// Note returns a driver like drv that notes a signal that is about to be created.
// id returns the id once the signal has one. If the hooks of the builder will see
// the creation, Note returns drv itself.
func (c *Client[D, X]) Note(drv dialect.Driver, hooks []ent.Hook, signal string, id func() (any, bool)) dialect.Driver {
	if c.sees(hooks) {
		return drv
	}
	return &before{Driver: drv, do: func(ctx context.Context) error {
		c.note(ctx, drv, signal, id)
		return nil
	}}
}

// NoteAll notes the signals of a bulk; see [Client.Note].
func (c *Client[D, X]) NoteAll(ctx context.Context, drv dialect.Driver, hooks []ent.Hook, signal string, ids []func() (any, bool)) {
	if c.sees(hooks) {
		return
	}
	c.note(ctx, drv, signal, ids...)
}

// sees reports whether the first hook is ours. It is in every client that has our
// hooks.
func (c *Client[D, X]) sees(hooks []ent.Hook) bool {
	if len(hooks) == 0 {
		return false
	}
	_, ours := hooks[0](ent.MutateFunc(func(context.Context, ent.Mutation) (ent.Value, error) { return nil, nil })).(*noting[D, X])
	return ours
}

func (c *Client[D, X]) note(ctx context.Context, drv dialect.Driver, signal string, ids ...func() (any, bool)) {
	for _, bus := range c.witnesses {
		bus.Missed(ctx, fmt.Errorf("%w: a client that was made from a config literal created a signal %s, and no client was opened with its driver (%T)", entsignal.ErrNotCollected, signal, c.root(drv)))
	}
	tx := c.Transaction(drv)
	switch {
	case c.bus == nil:
	case tx == nil:
		c.bus.Missed(ctx, fmt.Errorf("%w: a client that was made from a config literal without the hooks of the original client created a signal %s outside a transaction", entsignal.ErrNotCollected, signal))
	default:
		signals := make([]late, len(ids))
		for i, id := range ids {
			signals[i] = late{signal, id}
		}
		c.literal(ctx, tx).addLate(signals...)
	}
}

// literal returns the collector of a transaction whose client was made from a
// config literal. Such a transaction may be committed without ent's Tx, and then
// ent doesn't call its hooks.
func (c *Client[D, X]) literal(ctx context.Context, tx *D) *collector {
	col, isNew := c.open.of(tx)
	if !isNew {
		return col
	}
	key := weak.Make(tx)
	for at := c.txs.Inner(tx); ; {
		switch t := at.(type) {
		case *dialect.DebugTx:
			at = t.Tx
			continue
		case *sql.Tx:
			t.Tx = &watchedTx{Tx: t.Tx, ended: func(committed bool) {
				c.open.forget(key)
				if created := col.take(); committed {
					c.bus.Committed(ctx, created)
				}
			}}
			return col
		case *txn.Guard: // of Atomic, which commits by ent's Tx
		default:
			c.bus.Missed(ctx, fmt.Errorf("%w unless ent's Tx commits them: a client that was made from a config literal uses a transaction of type %T", entsignal.ErrNotCollected, at))
		}
		c.watch(tx, col)
		return col
	}
}

// watchedTx is a transaction of database/sql that reports its end.
type watchedTx struct {
	driver.Tx
	ended func(committed bool)
}

// Commit implements [driver.Tx].
func (t *watchedTx) Commit() error {
	err := t.Tx.Commit()
	t.ended(err == nil)
	return err
}

// Rollback implements [driver.Tx].
func (t *watchedTx) Rollback() error {
	defer t.ended(false)
	return t.Tx.Rollback()
}
