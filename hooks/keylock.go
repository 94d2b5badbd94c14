package hooks

import (
	"context"
	"fmt"

	"entgo.io/ent/dialect"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/internal/database"
	"github.com/entsignal/signalbus/internal/entdriver"
)

// LockKeys locks the order keys of signals before they are inserted, until the end
// of the transaction of drv. Without a transaction it returns an error that wraps
// [entsignal.ErrNoTx], because the lock would end before the insert.
func (c *Client[D, X]) LockKeys(ctx context.Context, drv dialect.Driver, signal, table string, keys []any) error {
	if c.Transaction(drv) == nil && !entdriver.IsTx(drv) {
		return fmt.Errorf("entsignal: creating a signal %s needs a transaction, because it locks its key until the transaction ends: %w", signal, entsignal.ErrNoTx)
	}
	if err := database.LockKeys(ctx, drv, table, keys); err != nil {
		return fmt.Errorf("entsignal: lock the key of signal %s: %w", signal, err)
	}
	return nil
}

// LockKey returns a driver like drv that locks the key before its first statement.
func (c *Client[D, X]) LockKey(drv dialect.Driver, signal, table string, key any) dialect.Driver {
	bare := drv
	if noting, ok := drv.(*before); ok { // a creation that fails here must not be noted
		bare = noting.Driver
	}
	return &before{Driver: drv, do: func(ctx context.Context) error {
		return c.LockKeys(ctx, bare, signal, table, []any{key})
	}}
}
