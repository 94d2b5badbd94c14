package inbox_test

import (
	"context"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/integration/inbox/ent"
)

// batch returns the keys of these messages.
func batch(numbers ...int) (keys []entsignal.MessageKey) {
	for _, n := range numbers {
		keys = append(keys, message(n))
	}
	return keys
}

// handleMany handles a batch whose handler succeeds.
func (c *consumer) handleMany(t *testing.T, keys []entsignal.MessageKey) []entsignal.MessageKey {
	t.Helper()
	var given []entsignal.MessageKey
	first, err := c.Received.OnceMany(ctx(t), keys, func(ctx context.Context, tx *ent.Tx, first []entsignal.MessageKey) error {
		given = first
		for _, key := range first {
			if err := apply(ctx, tx, key); err != nil {
				return err
			}
		}
		return nil
	})
	require.NoError(t, err)
	assert.Equal(t, first, given)
	return first
}

func TestBatchIsHandledInOneTransactionWithoutItsRepeats(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, c *consumer) {
		assert.Equal(t, batch(3, 1, 2), c.handleMany(t, batch(3, 1, 2, 1)), "in their order, and each once")
		assert.Equal(t, batch(5, 4), c.handleMany(t, batch(5, 3, 4, 2)))
		assert.Empty(t, c.handleMany(t, nil))

		first, err := c.Received.OnceMany(ctx(t), batch(1, 2, 3), func(context.Context, *ent.Tx, []entsignal.MessageKey) error {
			t.Error("there is nothing to handle")
			return nil
		})
		require.NoError(t, err)
		assert.Empty(t, first)

		first, err = c.Received.OnceMany(ctx(t), batch(5, 6, 7), func(ctx context.Context, tx *ent.Tx, first []entsignal.MessageKey) error {
			assert.Equal(t, batch(6, 7), first)
			assert.NoError(t, apply(ctx, tx, first[0]))
			return errHandler
		})
		assert.Equal(t, errHandler, err)
		assert.Empty(t, first)
		assert.Equal(t, 5, c.Received.Query().CountX(ctx(t)), "a batch that fails leaves no key")
		assert.Equal(t, batch(7, 6), c.handleMany(t, batch(7, 6)))
		for n := 1; n <= 7; n++ {
			assert.Equal(t, 1, c.applied(t, message(n)))
		}
		assert.Len(t, c.sent.Keys(), 7)
	})
}

func TestBatchMayBeLargerThanAStatement(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, c *consumer) {
		var keys []entsignal.MessageKey
		for n := range 6000 {
			keys = append(keys, message(n))
		}
		first, err := c.Received.OnceMany(ctx(t), keys, func(context.Context, *ent.Tx, []entsignal.MessageKey) error { return nil })
		require.NoError(t, err)
		assert.Equal(t, keys, first)
		assert.Equal(t, len(keys), c.Received.Query().CountX(ctx(t)))
	})
}

func TestBatchesThatOverlapAtTheSameMomentHandleEachMessageOnce(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, c *consumer) {
		const messages = 40
		var (
			wg  sync.WaitGroup
			mu  sync.Mutex
			all []entsignal.MessageKey
		)
		for consumer := range 8 {
			wg.Go(func() {
				for from := 0; from < messages; from += 10 {
					var keys []entsignal.MessageKey
					for n := from; n < from+10; n++ {
						keys = append(keys, message(n))
					}
					if consumer%2 == 0 {
						slices.Reverse(keys)
					}
					first := c.handleMany(t, keys)
					mu.Lock()
					all = append(all, first...)
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		assert.Len(t, all, messages)
		for n := range messages {
			assert.Equal(t, 1, c.applied(t, message(n)))
		}
		assert.Len(t, c.sent.Keys(), messages)
	})
}
