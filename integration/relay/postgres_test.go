package relay

import (
	"context"
	"net/url"
	"testing"
	"time"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/entsignal/pqconn"
	"github.com/entsignal/signalbus/integration/internal/testdb"
	"github.com/entsignal/signalbus/integration/shop/ent"
)

// wakeUpOf returns a process's wake-up for the database.
func wakeUpOf(t *testing.T, dsn string) *pqconn.WakeUp {
	t.Helper()
	w, err := pqconn.NewWakeUp(dsn)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, w.Close()) })
	return w
}

// isProven waits until the wake-up of the relay is known to work.
func (p *process) isProven(t testing.TB) {
	t.Helper()
	require.Eventually(t, func() bool { return p.bus.RunState().WakeUp.Proven }, 30*time.Second, time.Millisecond)
}

func TestCommitWakesTheRelayOfAnotherProcessByNotify(t *testing.T) {
	testdb.On(t, []testdb.Kind{testdb.PostgreSQL, testdb.PGX}, func(t *testing.T, db *testdb.DB) {
		writer := first(t, db, entsignal.WithWakeUp(wakeUpOf(t, db.DSN)))
		relay := start(t, db, entsignal.WithWakeUp(wakeUpOf(t, db.DSN)))
		end := relay.run(t, never)
		relay.rests(t)
		relay.isProven(t)
		for i := range 20 {
			writer.inTx(t, func(tx *ent.Tx) {
				tx.AuditLogged.Create().SetNumber(i).ExecX(ctx(t))
				tx.ShipmentDue.Create().SetCustomer("x").SetNumber(i).ExecX(ctx(t))
			})
			relay.audits.WaitFor(t, i+1)
			relay.shipments.WaitFor(t, i+1)
		}
		require.NoError(t, end())
	})
}

// What is written while the listener has no connection is found when it is back.
func TestRelayLooksAtEverythingWhenItsListenerIsBack(t *testing.T) {
	t.Parallel()
	db := testdb.New(t, testdb.PostgreSQL)
	behind, proxy := db.Through(t)
	relay := first(t, db, entsignal.WithWakeUp(wakeUpOf(t, behind.DSN)))
	relay.run(t, never)
	relay.rests(t)
	relay.isProven(t)
	ent.NewClient(ent.Driver(db.Driver(t))).AuditLogged.Create().SetNumber(1).ExecX(ctx(t)) // tells nobody
	proxy.Cut()
	relay.audits.WaitFor(t, 1)
	relay.isProven(t)
}

// The writer of a bus that closes has told what it had to tell.
func TestProcessThatCommitsAndEndsHasWokenTheRelay(t *testing.T) {
	t.Parallel()
	db := testdb.New(t, testdb.PostgreSQL)
	relay := first(t, db, entsignal.WithWakeUp(wakeUpOf(t, db.DSN)))
	relay.run(t, never)
	relay.rests(t)
	relay.isProven(t)
	for i := range 5 {
		bus, err := ent.NewSignalBus(ent.SignalSenders{}, entsignal.WithMissingSenders(), entsignal.WithWakeUp(wakeUpOf(t, db.DSN)))
		require.NoError(t, err)
		client := ent.NewClient(ent.Driver(db.Driver(t)), ent.WithSignalBus(bus))
		client.AuditLogged.Create().SetNumber(i).ExecX(ctx(t))
		require.NoError(t, bus.Close(ctx(t)))
		relay.audits.WaitFor(t, i+1)
	}
}

// Whatever Run waits for, it ends, and leaves nothing behind for long.
func TestRelayEndsInABlackHole(t *testing.T) {
	for name, open := range map[string]func(t *testing.T, dsn string) *entsql.Driver{
		"pqconn": func(t *testing.T, dsn string) *entsql.Driver {
			pool, err := pqconn.Open(dsn, pqconn.WithTimeout(time.Second), pqconn.WithConnectTimeout(time.Second))
			require.NoError(t, err)
			t.Cleanup(func() { assert.NoError(t, pool.Close()) })
			return entsql.OpenDB(dialect.Postgres, pool)
		},
		"lib-pq": func(t *testing.T, dsn string) *entsql.Driver {
			db := testdb.DB{Kind: testdb.PostgreSQL, DSN: dsn}
			return db.Driver(t)
		},
	} {
		for state, hole := range map[string]string{"connecting": "before", "working": "while"} {
			t.Run(name+" "+state, func(t *testing.T) {
				t.Parallel()
				db := testdb.New(t, testdb.PostgreSQL)
				first(t, db)
				behind, proxy := db.Through(t)
				if hole == "before" {
					proxy.BlackHole(true)
				}
				bus, err := ent.NewSignalBus(ent.SignalSenders{
					AuditLogged: func(context.Context, []*ent.AuditLogged) error { return nil },
				}, entsignal.WithMissingSenders(), entsignal.WithFlushTimeout(500*time.Millisecond), entsignal.WithWakeUp(wakeUpOf(t, behind.DSN)))
				require.NoError(t, err)
				p := &process{bus: bus, Client: ent.NewClient(ent.Driver(open(t, behind.DSN)), ent.WithSignalBus(bus))}
				end := p.run(t)
				if hole == "while" {
					p.rests(t)
					proxy.BlackHole(true)
				}
				require.Eventually(t, func() bool {
					loops := p.bus.RunState().Loops
					return len(loops) > 0 && loops[0].Failed > 0
				}, 30*time.Second, time.Millisecond)
				assert.Empty(t, p.bus.RunState().Stuck(), "a network that is dead makes no loop stuck")
				began := time.Now()
				require.NoError(t, end())
				assert.Less(t, time.Since(began), 10*time.Second)
				proxy.BlackHole(false)
				proxy.Cut()
				require.NoError(t, p.bus.Close(ctx(t)))
			})
		}
	}
}

// Two schemas of one database have a channel each.
func TestRelaysOfOtherSchemasSleepOn(t *testing.T) {
	t.Parallel()
	db := testdb.New(t, testdb.PostgreSQL)
	pool := db.Open(t)
	_, err := pool.Exec("CREATE SCHEMA tenant")
	require.NoError(t, err)
	u, err := url.Parse(db.DSN)
	require.NoError(t, err)
	q := u.Query()
	q.Set("search_path", "tenant")
	u.RawQuery = q.Encode()
	relay := first(t, db, entsignal.WithWakeUp(wakeUpOf(t, db.DSN)))
	relay.run(t, never)
	relay.isProven(t)
	require.NoError(t, wakeUpOf(t, u.String()).Notify(ctx(t), []string{"AuditLogged"}))
	require.NoError(t, wakeUpOf(t, db.DSN).Notify(ctx(t), []string{"ShipmentDue"}))
	require.Eventually(t, func() bool { return relay.bus.RunState().WakeUp.Received > 0 }, 30*time.Second, time.Millisecond)
	assert.EqualValues(t, 1, relay.bus.RunState().WakeUp.Received)
}
