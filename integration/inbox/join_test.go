package inbox_test

import (
	"context"
	"database/sql"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/integration/inbox/ent"
)

// joined handles a message in the transaction of ctx.
func (c *consumer) joined(ctx context.Context, n int, end error) (bool, error) {
	return c.Received.Once(ctx, message(n), func(ctx context.Context, tx *ent.Tx) error {
		if err := apply(ctx, tx, message(n)); err != nil {
			return err
		}
		return end
	})
}

func TestOnceInAnOpenAtomicJoinsIt(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, c *consumer) {
		err := c.Atomic(ctx(t), func(ctx context.Context, outer *ent.Tx) error {
			for _, want := range []bool{true, false} {
				first, err := c.joined(ctx, 1, nil)
				if err != nil {
					return err
				}
				assert.Equal(t, want, first)
			}
			first, err := outer.Received.Once(ctx, message(2), func(_ context.Context, tx *ent.Tx) error {
				assert.Same(t, outer, tx)
				return nil
			})
			assert.True(t, first)
			assert.Empty(t, c.sent.Keys(), "nothing is sent before the outer commit")
			return err
		})
		require.NoError(t, err)
		assert.Equal(t, []string{message(1).String()}, c.sent.Keys())
		assert.False(t, c.handle(t, message(1)))
		assert.False(t, c.handle(t, message(2)))

		err = c.Atomic(ctx(t), func(ctx context.Context, _ *ent.Tx) error {
			first, err := c.joined(ctx, 3, nil)
			assert.NoError(t, err)
			assert.True(t, first)
			return errHandler
		})
		assert.Equal(t, errHandler, err)
		assert.True(t, c.handle(t, message(3)), "the outer transaction was rolled back, and the key with it")

		err = c.Atomic(ctx(t), func(ctx context.Context, tx *ent.Tx) error {
			_, err := c.Received.Once(ctx, message(4), nil, entsignal.Isolation(sql.LevelSerializable))
			return err
		})
		assert.ErrorContains(t, err, "only the call that begins it can set its isolation")
	})
}

func TestOnceInATransactionOfEntJoinsIt(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, c *consumer) {
		tx, err := c.Tx(ctx(t))
		require.NoError(t, err)
		first, err := tx.Received.Once(ctx(t), message(1), func(ctx context.Context, tx *ent.Tx) error { return apply(ctx, tx, message(1)) })
		require.NoError(t, err)
		assert.True(t, first)
		require.NoError(t, tx.Rollback())
		c.empty(t)

		tx, err = c.Tx(ctx(t))
		require.NoError(t, err)
		first, err = c.joined(ent.NewTxContext(ctx(t), tx), 1, nil)
		require.NoError(t, err)
		assert.True(t, first)
		require.NoError(t, tx.Commit())
		assert.Equal(t, []string{message(1).String()}, c.sent.Keys())
		assert.False(t, c.handle(t, message(1)))
	})
}

// A function that swallows the error of a handler would commit its key, and half of its
// work.
func TestHandlerThatFailsInAnOpenTransactionKeepsItFromBeingCommitted(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, c *consumer) {
		err := c.Atomic(ctx(t), func(ctx context.Context, tx *ent.Tx) error {
			_, err := c.joined(ctx, 1, errHandler)
			assert.Equal(t, errHandler, err)
			return nil
		})
		require.ErrorIs(t, err, errHandler)
		require.ErrorContains(t, err, "not committed, because a message was not handled in the transaction")
		c.empty(t)

		err = c.Atomic(ctx(t), func(ctx context.Context, tx *ent.Tx) error {
			assert.Panics(t, func() {
				_, _ = c.Received.Once(ctx, message(1), func(context.Context, *ent.Tx) error { panic("a bug") })
			})
			return nil
		})
		require.ErrorContains(t, err, "its function has not returned")
		c.empty(t)

		tx, err := c.Tx(ctx(t))
		require.NoError(t, err)
		_, err = c.joined(ent.NewTxContext(ctx(t), tx), 1, errHandler)
		require.Equal(t, errHandler, err)
		require.ErrorIs(t, tx.Commit(), errHandler)
		require.NoError(t, tx.Rollback())
		c.empty(t)
	})
}
