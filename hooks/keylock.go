package hooks

import (
	"context"
	"fmt"

	"entgo.io/ent/dialect"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/internal/keylock"
)

// LockKeys locks the order keys of signals of one type, before they are
// inserted, to the end of the transaction that drv works in. It returns an
// error that wraps [entsignal.ErrNoTx] if there is none: the lock would end
// before the insert does.
func (c *Client[D, X]) LockKeys(ctx context.Context, drv dialect.Driver, signal, table string, keys []any) error {
	if c.Transaction(drv) == nil && !isForeignTx(drv) {
		return fmt.Errorf("entsignal: a signal %s locks its key until its transaction ends, and there is none: %w", signal, entsignal.ErrNoTx)
	}
	if err := keylock.Lock(ctx, drv, table, keys); err != nil {
		return fmt.Errorf("entsignal: lock the key of signal %s: %w", signal, err)
	}
	return nil
}

// LockKey returns drv as one that locks the key before its first statement.
func (c *Client[D, X]) LockKey(drv dialect.Driver, signal, table string, key any) dialect.Driver {
	return &lockFirst{Driver: drv, lock: func(ctx context.Context) error {
		return c.LockKeys(ctx, drv, signal, table, []any{key})
	}}
}

// lockFirst locks before its first statement. It serves one creation, and one
// goroutine: a builder has no better place that knows both the context and
// the key, after the hooks of the project and before the statement.
type lockFirst struct {
	dialect.Driver
	lock func(context.Context) error // nil after the first statement
}

func (d *lockFirst) first(ctx context.Context) error {
	if d.lock == nil {
		return nil
	}
	lock := d.lock
	d.lock = nil
	return lock(ctx)
}

// Exec implements [dialect.Driver].
func (d *lockFirst) Exec(ctx context.Context, query string, args, v any) error {
	if err := d.first(ctx); err != nil {
		return err
	}
	return d.Driver.Exec(ctx, query, args, v)
}

// Query implements [dialect.Driver].
func (d *lockFirst) Query(ctx context.Context, query string, args, v any) error {
	if err := d.first(ctx); err != nil {
		return err
	}
	return d.Driver.Query(ctx, query, args, v)
}

// Tx implements [dialect.Driver].
func (d *lockFirst) Tx(ctx context.Context) (dialect.Tx, error) {
	if err := d.first(ctx); err != nil {
		return nil, err
	}
	return d.Driver.Tx(ctx)
}
