package hooks

import (
	"context"
	"fmt"

	"entgo.io/ent/dialect"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/internal/database"
	"github.com/entsignal/signalbus/internal/entdriver"
)

// LockKeys locks the order keys of signals of one type, before they are
// inserted, to the end of the transaction that drv works in. It returns an
// error that wraps [entsignal.ErrNoTx] if there is none: the lock would end
// before the insert does.
func (c *Client[D, X]) LockKeys(ctx context.Context, drv dialect.Driver, signal, table string, keys []any) error {
	if c.Transaction(drv) == nil && !entdriver.IsTx(drv) {
		return fmt.Errorf("entsignal: a signal %s locks its key until its transaction ends, and there is none: %w", signal, entsignal.ErrNoTx)
	}
	if err := database.LockKeys(ctx, drv, table, keys); err != nil {
		return fmt.Errorf("entsignal: lock the key of signal %s: %w", signal, err)
	}
	return nil
}

// LockKey returns drv as one that locks the key before its first statement.
func (c *Client[D, X]) LockKey(drv dialect.Driver, signal, table string, key any) dialect.Driver {
	bare := drv
	if noting, ok := drv.(*before); ok { // what is refused is not noted
		bare = noting.Driver
	}
	return &before{Driver: drv, do: func(ctx context.Context) error {
		return c.LockKeys(ctx, bare, signal, table, []any{key})
	}}
}
