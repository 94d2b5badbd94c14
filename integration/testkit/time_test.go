package testkit

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/entsignal/entsignaltest"
	"github.com/entsignal/signalbus/entsignal/pqconn"
	"github.com/entsignal/signalbus/integration/internal/testdb"
	retryent "github.com/entsignal/signalbus/integration/retry/ent"
	"github.com/entsignal/signalbus/integration/shop/ent"
)

// inBubble runs test in a bubble, for each way to a database.
func inBubble(t *testing.T, test func(t *testing.T, db *testdb.DB, drv func() dialect.Driver)) {
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		synctest.Test(t, func(t *testing.T) { test(t, db, func() dialect.Driver { return db.Driver(t) }) })
	})
	t.Run("pqconn", func(t *testing.T) {
		t.Parallel()
		db := testdb.New(t, testdb.PostgreSQL)
		synctest.Test(t, func(t *testing.T) {
			test(t, db, func() dialect.Driver {
				pool, err := pqconn.Open(db.DSN)
				require.NoError(t, err)
				t.Cleanup(func() { pool.Close() })
				return entsql.OpenDB(dialect.Postgres, pool)
			})
		})
	})
}

// Within a bubble hours take no time.
func TestAttemptsAreTestedWithoutWaiting(t *testing.T) {
	inBubble(t, func(t *testing.T, db *testdb.DB, drv func() dialect.Driver) {
		senders, outbox := entsignaltest.Senders[retryent.SignalSenders](t)
		bus, err := retryent.NewSignalBus(senders, outbox.Option())
		require.NoError(t, err)
		client := retryent.NewClient(retryent.Driver(drv()), retryent.WithSignalBus(bus))
		retryTables(t, db, client)
		fault := entsignaltest.FailNth[*retryent.JobQueued](outbox, 1, errRefused)
		client.JobQueued.Create().SetNumber(1).ExecX(t.Context())
		require.ErrorIs(t, outbox.Drain(t.Context()), errRefused)
		assert.Equal(t, 1, fault.Struck())
		require.ErrorContains(t, outbox.Drain(t.Context()), "1 failed and wait for their next attempt")
		time.Sleep(2 * time.Hour)
		require.NoError(t, outbox.Drain(t.Context()))
		entsignaltest.One[*retryent.JobQueued](outbox)
	})
}

func TestPausesAndTimeoutsAreTestedWithoutWaiting(t *testing.T) {
	inBubble(t, func(t *testing.T, db *testdb.DB, drv func() dialect.Driver) {
		senders, outbox := entsignaltest.Senders[ent.SignalSenders](t)
		bus, err := ent.NewSignalBus(senders, outbox.Option())
		require.NoError(t, err)
		client := ent.NewClient(ent.Driver(drv()), ent.WithSignalBus(bus))
		createTables(t, db, client)
		s := &shop{client, bus, outbox}
		back := entsignaltest.Away[*ent.OrderPlaced](outbox)
		s.order(t, 1, 2, 3, 4)
		back()
		s.order(t, 5)
		entsignaltest.None[*ent.OrderPlaced](outbox)
		time.Sleep(time.Minute)
		s.order(t, 6)
		assert.Equal(t, 6, entsignaltest.One[*ent.OrderPlaced](outbox).Number)

		began := time.Now()
		n, err := bus.Flush(t.Context())
		require.NoError(t, err)
		assert.Equal(t, 5, n)
		assert.GreaterOrEqual(t, time.Since(began), 3*time.Second)

		entsignaltest.Hang[*ent.OrderPlaced](outbox)
		began = time.Now()
		s.order(t, 7)
		assert.GreaterOrEqual(t, time.Since(began), 8*time.Second, "a commit waits so long for a sender that hangs")
		entsignaltest.None(outbox, is(7))
	})
}

// outages notes when sending is paused and resumed.
type outages struct {
	mu   sync.Mutex
	told []string
}

func (o *outages) Observe(_ context.Context, e entsignal.Event) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch e := e.(type) {
	case entsignal.Paused:
		o.told = append(o.told, "paused "+e.Signal)
	case entsignal.Resumed:
		o.told = append(o.told, "resumed "+e.Signal)
	}
}

func (o *outages) all() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.told)
}

// If another process sends what an outage has kept, nothing is left that could tell
// this one that the outage is over.
func TestOutageIsOverForAProcessWhoseSignalsOthersHaveSent(t *testing.T) {
	inBubble(t, func(t *testing.T, db *testdb.DB, drv func() dialect.Driver) {
		opened := func(opts ...entsignal.BusOption) *shop {
			senders, outbox := entsignaltest.Senders[ent.SignalSenders](t)
			bus, err := ent.NewSignalBus(senders, append(opts, outbox.Option())...)
			require.NoError(t, err)
			return &shop{ent.NewClient(ent.Driver(drv()), ent.WithSignalBus(bus)), bus, outbox}
		}
		asked, relay := &outages{}, &outages{}
		one := opened(entsignal.WithObserver(asked))
		createTables(t, db, one.Client)
		two, other := opened(entsignal.WithObserver(relay)), opened()
		defer entsignaltest.Away[*ent.OrderPlaced](one.outbox)()
		defer entsignaltest.Away[*ent.OrderPlaced](two.outbox)()
		one.order(t, 1)
		two.order(t, 2)
		running, end := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- two.bus.Run(running, entsignal.Only(ent.TypeOrderPlaced)) }()
		time.Sleep(10 * time.Minute)
		_, err := one.bus.Oldest(t.Context())
		require.NoError(t, err)
		assert.Equal(t, []string{"paused OrderPlaced"}, asked.all())
		assert.Equal(t, []string{"paused OrderPlaced"}, relay.all())

		n, err := other.bus.FlushMany(t.Context())
		require.NoError(t, err)
		assert.Equal(t, 2, n)
		time.Sleep(10 * time.Minute)
		_, err = one.bus.Oldest(t.Context()) // as the metrics do
		require.NoError(t, err)
		assert.Equal(t, []string{"paused OrderPlaced", "resumed OrderPlaced"}, asked.all())
		assert.Equal(t, []string{"paused OrderPlaced", "resumed OrderPlaced"}, relay.all())
		end()
		require.NoError(t, <-ended)
	})
}
