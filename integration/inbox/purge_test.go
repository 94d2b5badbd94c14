package inbox_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"entgo.io/ent/dialect"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/integration/inbox/ent"
	"github.com/entsignal/signalbus/internal/engine"
)

// receive stores the keys of messages from the first to before the last.
func (c *consumer) receive(t *testing.T, first, last int) {
	t.Helper()
	var keys []entsignal.MessageKey
	for n := first; n < last; n++ {
		keys = append(keys, message(n))
	}
	_, err := c.Received.OnceMany(ctx(t), keys, func(context.Context, *ent.Tx, []entsignal.MessageKey) error { return nil })
	require.NoError(t, err)
}

// age makes all keys so many minutes older.
func (c *consumer) age(t *testing.T, table string, minutes int) {
	t.Helper()
	older := map[string]string{
		dialect.Postgres: "received_at - INTERVAL '%d minutes'",
		dialect.MySQL:    "received_at - INTERVAL %d MINUTE",
		dialect.SQLite:   "datetime(received_at, '-%d minutes')",
	}[c.db.Dialect]
	c.exec(t, "UPDATE "+table+" SET received_at = "+fmt.Sprintf(older, minutes))
}

func TestPurgeDeletesInBatchesWhatIsOlderThanTheRetention(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, c *consumer) {
		c.receive(t, 0, 2500)
		c.age(t, "receiveds", 59)
		n, err := c.Received.Purge(ctx(t))
		require.NoError(t, err)
		assert.Zero(t, n, "all are younger than an hour")
		c.age(t, "receiveds", 2)
		c.receive(t, 2500, 2510)
		// A row of ent's own builder has the time of the program.
		c.Received.Create().SetSource("shop").SetMessageID("old").SetReceivedAt(time.Now().Add(-25 * time.Hour)).SaveX(ctx(t))
		c.Received.Create().SetSource("shop").SetMessageID("new").SaveX(ctx(t))

		var executed []string
		logged := ent.NewClient(ent.Driver(c.db.Driver(t)), ent.Debug(), ent.Log(func(v ...any) { executed = append(executed, fmt.Sprint(v...)) }))
		n, err = logged.Received.Purge(ctx(t))
		require.NoError(t, err)
		assert.Equal(t, 2501, n)
		deletes := 0
		for _, line := range executed {
			if strings.Contains(line, "DELETE") {
				deletes++
			}
		}
		assert.Equal(t, 3, deletes, "batches")
		assert.Equal(t, 11, c.Received.Query().CountX(ctx(t)))
		assert.True(t, c.handle(t, message(1)), "what is purged is forgotten")
		assert.False(t, c.handle(t, message(2505)))
		n, err = c.Received.Purge(ctx(t))
		require.NoError(t, err)
		assert.Zero(t, n)
	})
}

func TestPurgesAtTheSameTimeShareTheWork(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, c *consumer) {
		c.receive(t, 0, 4000)
		c.age(t, "receiveds", 61)
		var (
			wg     sync.WaitGroup
			purged [3]int
		)
		for i := range purged {
			wg.Go(func() {
				var err error
				purged[i], err = c.Received.Purge(ctx(t))
				assert.NoError(t, err)
			})
		}
		for n := 5000; n < 5020; n++ {
			assert.True(t, c.handle(t, message(n)), "messages arrive meanwhile")
		}
		wg.Wait()
		last, err := c.Received.Purge(ctx(t))
		require.NoError(t, err)
		assert.Equal(t, 4000, purged[0]+purged[1]+purged[2]+last)
		assert.Equal(t, 20, c.Received.Query().CountX(ctx(t)))
	})
}

func TestPurgeFindsOldKeysByTheirIndex(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, c *consumer) {
		c.receive(t, 0, 50)
		c.age(t, "receiveds", 61)
		c.receive(t, 50, 5000)
		statement := ""
		logged := ent.NewClient(ent.Driver(c.db.Driver(t)), ent.Debug(), ent.Log(func(v ...any) {
			if _, query, ok := strings.Cut(fmt.Sprint(v...), "query=DELETE"); ok {
				statement, _, _ = strings.Cut("DELETE"+query, " args=")
			}
		}))
		_, err := logged.Received.Purge(ctx(t))
		require.NoError(t, err)
		require.NotEmpty(t, statement)

		pool := c.db.Open(t)
		explain := "EXPLAIN "
		switch c.db.Dialect {
		case dialect.Postgres:
			c.exec(t, "ANALYZE receiveds")
		case dialect.MySQL:
			_, err := pool.Exec("ANALYZE TABLE receiveds")
			require.NoError(t, err)
		case dialect.SQLite:
			explain = "EXPLAIN QUERY PLAN "
		}
		rows, err := pool.Query(explain + statement)
		require.NoError(t, err)
		defer rows.Close()
		columns, err := rows.Columns()
		require.NoError(t, err)
		var plan strings.Builder
		for rows.Next() {
			values := make([]any, len(columns))
			for i := range values {
				values[i] = new(any)
			}
			require.NoError(t, rows.Scan(values...))
			for _, v := range values {
				fmt.Fprintf(&plan, "%s ", *v.(*any))
			}
		}
		require.NoError(t, rows.Err())
		assert.Contains(t, plan.String(), "received_received_at")
	})
}

func TestBusPurgesAllInboxesOfItsClient(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, c *consumer) {
		c.receive(t, 0, 3)
		for n := range 2 {
			_, err := c.Seen.Once(ctx(t), message(n), func(context.Context, *ent.Tx) error { return nil })
			require.NoError(t, err)
		}
		c.age(t, "receiveds", 61)
		c.age(t, "seens", 6*24*60)
		purge := c.bus.Engine().(*engine.Engine).Purge
		n, err := purge(ctx(t))
		require.NoError(t, err)
		assert.Equal(t, 3, n, "the retention of the other inbox is a week")
		c.age(t, "seens", 24*60+1)
		n, err = purge(ctx(t))
		require.NoError(t, err)
		assert.Equal(t, 2, n)
	})
}

func TestRelayPurgesTheInboxes(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, c *consumer) {
		c.receive(t, 0, 3)
		c.age(t, "receiveds", 61)
		running, stop := context.WithCancel(ctx(t))
		ended := make(chan error, 1)
		go func() { ended <- c.bus.Run(running) }()
		require.Eventually(t, func() bool { return c.Received.Query().CountX(ctx(t)) == 0 }, 50*time.Second, 10*time.Millisecond)
		stop()
		require.NoError(t, <-ended)
	})
}

func TestPurgeInATransactionIsRefused(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, c *consumer) {
		err := c.Atomic(ctx(t), func(ctx context.Context, tx *ent.Tx) error {
			_, err := tx.Received.Purge(ctx)
			return err
		})
		require.ErrorIs(t, err, entsignal.ErrInTx)
	})
}
