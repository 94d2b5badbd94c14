package inbox_test

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"entgo.io/ent/dialect"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/integration/inbox/ent"
	"github.com/entsignal/signalbus/integration/internal/testdb"
)

func TestEachMessageIsHandledOnceByEightConsumersThatGetItThreeTimes(t *testing.T) {
	t.Parallel()
	const (
		consumers = 8
		messages  = 60
		accounts  = 3
	)
	each(t, func(t *testing.T, c *consumer) {
		var ids []int
		for _, owner := range []string{"ann", "bob", "eve"} {
			ids = append(ids, c.Account.Create().SetOwner(owner).SaveX(ctx(t)).ID)
		}
		deliveries := make(chan int, 3*messages)
		for n := range messages {
			for range 3 {
				deliveries <- n
			}
		}
		close(deliveries)
		var (
			wg    sync.WaitGroup
			first atomic.Int64
			ran   [messages]atomic.Int64
		)
		processes := []*consumer{c, c.another(t)}
		for i := range consumers {
			of := processes[i%len(processes)]
			wg.Go(func() {
				for n := range deliveries {
					key := message(n)
					isFirst, err := of.Received.Once(ctx(t), key, func(ctx context.Context, tx *ent.Tx) error {
						ran[n].Add(1)
						account, err := tx.Account.Lock(ctx, ids[n%accounts])
						if err != nil {
							return err
						}
						if err := account.Update().SetBalance(account.Balance + 1).Exec(ctx); err != nil {
							return err
						}
						return apply(ctx, tx, key)
					}, entsignal.Retries(20))
					assert.NoError(t, err)
					if isFirst {
						first.Add(1)
					}
				}
			})
		}
		wg.Wait()
		assert.EqualValues(t, messages, first.Load())
		var want []string
		for n := range messages {
			want = append(want, message(n).String())
			assert.Equal(t, 1, c.applied(t, message(n)))
			assert.Positive(t, ran[n].Load())
		}
		for _, account := range c.Account.Query().AllX(ctx(t)) {
			assert.Equal(t, messages/accounts, account.Balance)
		}
		sent := c.sent.Keys()
		slices.Sort(sent)
		slices.Sort(want)
		assert.Equal(t, want, sent)
		assert.Equal(t, messages, c.Received.Query().CountX(ctx(t)))
	})
}

// duel delivers a message to another process while the first copy is handled; end ends that
// handler. It returns what each of the two calls returned.
func (c *consumer) duel(t *testing.T, end func(ctx context.Context, tx *ent.Tx) error) (first, second bool, firstErr, secondErr error) {
	t.Helper()
	var (
		key      = message(1)
		other    = c.another(t)
		running  = make(chan struct{})
		release  = make(chan struct{})
		released atomic.Bool
		wg       sync.WaitGroup
	)
	wg.Go(func() {
		first, firstErr = c.Received.Once(ctx(t), key, func(ctx context.Context, tx *ent.Tx) error {
			close(running)
			<-release
			return end(ctx, tx)
		})
	})
	<-running
	begun := make(chan struct{})
	wg.Go(func() {
		close(begun)
		second, secondErr = other.Received.Once(ctx(t), key, func(ctx context.Context, tx *ent.Tx) error {
			assert.True(t, released.Load(), "both are handled at once")
			return apply(ctx, tx, key)
		})
	})
	<-begun
	c.awaitWaiting(t)
	released.Store(true)
	close(release)
	wg.Wait()
	return first, second, firstErr, secondErr
}

// awaitWaiting returns when a transaction waits for another. In SQLite nothing tells so.
func (c *consumer) awaitWaiting(t *testing.T) {
	t.Helper()
	query := "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
	switch c.db.Dialect {
	case dialect.SQLite:
		return
	case dialect.MySQL:
		query = "SELECT count(*) FROM information_schema.processlist WHERE db = DATABASE() AND info LIKE 'INSERT INTO `receiveds`%'"
	}
	pool := c.db.Open(t)
	defer pool.Close()
	require.Eventually(t, func() bool {
		var n int
		return assert.NoError(t, pool.QueryRow(query).Scan(&n)) && n > 0
	}, 2*time.Minute, 10*time.Millisecond)
}

// The pool has one connection, which the first delivery uses.
func TestSecondCopyInAProcessWaitsWithoutAConnection(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		drv := db.Driver(t)
		pool := drv.DB()
		c := open(t, db, drv)
		pool.SetMaxOpenConns(1)
		waits := pool.Stats().WaitCount
		var (
			wg      sync.WaitGroup
			running = make(chan struct{})
			release = make(chan struct{})
		)
		wg.Go(func() {
			first, err := c.Received.Once(ctx(t), message(1), func(ctx context.Context, tx *ent.Tx) error {
				close(running)
				<-release
				return apply(ctx, tx, message(1))
			})
			assert.NoError(t, err)
			assert.True(t, first)
		})
		<-running
		impatient, cancel := context.WithCancel(ctx(t))
		ended := make(chan error)
		go func() {
			_, err := c.Received.Once(impatient, message(1), func(context.Context, *ent.Tx) error { return nil })
			ended <- err
		}()
		cancel()
		require.ErrorIs(t, <-ended, context.Canceled)
		wg.Go(func() {
			first, err := c.Received.Once(ctx(t), message(1), func(context.Context, *ent.Tx) error { return nil })
			assert.NoError(t, err)
			assert.False(t, first)
		})
		close(release)
		wg.Wait()
		assert.Equal(t, 1, c.applied(t, message(1)))
		assert.Equal(t, waits, pool.Stats().WaitCount, "a delivery waited for a connection")
	})
}

func TestSecondCopyAtTheSameMomentWaitsAndIsDropped(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, c *consumer) {
		first, second, firstErr, secondErr := c.duel(t, func(ctx context.Context, tx *ent.Tx) error { return apply(ctx, tx, message(1)) })
		require.NoError(t, firstErr)
		require.NoError(t, secondErr)
		assert.True(t, first)
		assert.False(t, second)
		assert.Equal(t, 1, c.applied(t, message(1)))
	})
}

func TestSecondCopyAtTheSameMomentIsHandledIfTheFirstFails(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, c *consumer) {
		first, second, firstErr, secondErr := c.duel(t, func(ctx context.Context, tx *ent.Tx) error {
			assert.NoError(t, apply(ctx, tx, message(1)))
			return errHandler
		})
		assert.Equal(t, errHandler, firstErr)
		require.NoError(t, secondErr)
		assert.False(t, first)
		assert.True(t, second)
		assert.Equal(t, 1, c.applied(t, message(1)))
		assert.Equal(t, []string{message(1).String()}, c.sent.Keys())
	})
}
