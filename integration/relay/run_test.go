package relay

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/integration/internal/testdb"
	"github.com/entsignal/signalbus/integration/shop/ent"
)

func TestRelaySendsEachKindOfSignalByTheFlushThatFitsIt(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		p := first(t, db)
		writer := ent.NewClient(ent.Driver(db.Driver(t))) // as of another program, which tells nobody
		writer.OrderPlaced.MapCreateBulk(make([]struct{}, 3), func(c *ent.OrderPlacedCreate, i int) { c.SetNumber(i + 1) }).ExecX(ctx(t))
		writer.AuditLogged.MapCreateBulk(make([]struct{}, 30), func(c *ent.AuditLoggedCreate, i int) { c.SetNumber(i + 1) }).ExecX(ctx(t))
		writer.ShipmentDue.MapCreateBulk(make([]struct{}, 9), func(c *ent.ShipmentDueCreate, i int) { c.SetCustomer("x").SetNumber(i + 1) }).ExecX(ctx(t))
		end := p.run(t, entsignal.Workers(2), entsignal.Burst(2))
		p.orders.WaitFor(t, 3)
		p.audits.WaitFor(t, 30)
		p.shipments.WaitFor(t, 9)
		assert.Equal(t, map[string]bool{"flush": true}, modes(p.orders))
		assert.Equal(t, map[string]bool{"flushmany": true}, modes(p.audits))
		assert.Equal(t, map[string]bool{"flushordered": true}, modes(p.shipments))
		assert.Equal(t, []int{9, 8, 7, 6, 5, 4, 3, 2, 1}, p.shipments.Keys())

		// What is recorded later is found by a poll.
		writer.AuditLogged.Create().SetNumber(31).ExecX(ctx(t))
		writer.ShipmentDue.Create().SetCustomer("x").SetNumber(10).ExecX(ctx(t))
		p.audits.WaitFor(t, 31)
		p.shipments.WaitFor(t, 10)
		require.NoError(t, end())
		assert.ElementsMatch(t, numbers(31), p.audits.Keys())
		assert.Zero(t, p.pending(t, "AuditLogged"))
		assert.Empty(t, p.bus.RunState().Loops)
		assert.Equal(t, 1, p.log.Count("signal has no sender, its rows stay pending\" signal=BadgeGiven"), "%s", &p.log)
	})
}

func TestCommitThatLeavesASignalPendingWakesTheRelayOfItsBus(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		p := first(t, db)
		p.run(t, never)
		p.rests(t)
		p.inTx(t, func(tx *ent.Tx) {
			tx.AuditLogged.Create().SetNumber(1).ExecX(ctx(t))
			tx.ShipmentDue.Create().SetCustomer("x").SetNumber(1).ExecX(ctx(t))
		})
		p.audits.WaitFor(t, 1)
		p.shipments.WaitFor(t, 1)
		p.AuditLogged.Create().SetNumber(2).ExecX(ctx(t)) // outside of a transaction
		p.audits.WaitFor(t, 2)
		p.AuditLogged.MapCreateBulk(make([]struct{}, 3), func(c *ent.AuditLoggedCreate, i int) { c.SetNumber(i + 3) }).ExecX(ctx(t))
		p.audits.WaitFor(t, 5)
		require.NoError(t, p.Atomic(ctx(t), func(ctx context.Context, tx *ent.Tx) error {
			return tx.AuditLogged.Create().SetNumber(6).Exec(ctx)
		}))
		p.audits.WaitFor(t, 6)

		p.OrderPlaced.Create().SetNumber(1).ExecX(ctx(t))
		assert.Equal(t, map[string]bool{"autoflush": true}, modes(p.orders), "it is no business of the relay")
		p.bus.SetAutoFlush(false)
		p.inTx(t, func(tx *ent.Tx) { tx.OrderPlaced.Create().SetNumber(2).ExecX(ctx(t)) })
		p.orders.WaitFor(t, 2)
		assert.Equal(t, map[string]bool{"autoflush": true, "flushmany": true}, modes(p.orders))
	})
}

func TestRolledBackTransactionWakesNobody(t *testing.T) {
	db := sqlite(t)
	p := first(t, db)
	p.run(t, never)
	p.rests(t)
	tx, err := p.Tx(ctx(t))
	require.NoError(t, err)
	tx.AuditLogged.Create().SetNumber(1).ExecX(ctx(t))
	require.NoError(t, tx.Rollback())
	p.AuditLogged.Create().SetNumber(2).ExecX(ctx(t))
	p.audits.WaitFor(t, 1)
	assert.Equal(t, []int{2}, p.audits.Keys())
}

func TestSignalThatTheQueueHasNoRoomForIsSentByTheRelay(t *testing.T) {
	testdb.On(t, []testdb.Kind{testdb.PostgreSQL, testdb.MariaDB}, func(t *testing.T, db *testdb.DB) {
		p := first(t, db, entsignal.WithAsync(1))
		p.run(t, never)
		p.rests(t)
		held, release := make(chan struct{}), make(chan struct{})
		p.orders.Before(func(ctx context.Context, s []*ent.OrderPlaced) error {
			if s[0].Number == 1 {
				close(held)
				<-release
			}
			return nil
		})
		p.OrderPlaced.Create().SetNumber(1).ExecX(ctx(t))
		<-held
		p.OrderPlaced.Create().SetNumber(2).ExecX(ctx(t)) // no room
		p.orders.WaitFor(t, 1)
		assert.Equal(t, []int{2}, p.orders.Keys())
		close(release)
		p.orders.WaitFor(t, 2)
	})
}

func TestRelayFinishesTheBatchInHand(t *testing.T) {
	for name, stop := range map[string]func(p *process, end func() error) error{
		"the context ends": func(_ *process, end func() error) error { return end() },
		"the bus is closed": func(p *process, end func() error) error {
			if err := p.bus.Close(context.Background()); err != nil {
				return err
			}
			return end()
		},
	} {
		t.Run(name, func(t *testing.T) {
			testdb.Each(t, func(t *testing.T, db *testdb.DB) {
				p := first(t, db)
				held, release := make(chan struct{}), make(chan struct{})
				p.audits.Before(func(context.Context, []*ent.AuditLogged) error {
					close(held)
					<-release
					return nil
				})
				p.audit(t, 3)
				end := p.run(t)
				<-held
				stopped := make(chan error, 1)
				go func() { stopped <- stop(p, end) }()
				require.Empty(t, stopped)
				close(release)
				require.NoError(t, <-stopped)
				assert.Equal(t, []int{1}, p.audits.Keys())
				n, err := ent.NewClient(ent.Driver(db.Driver(t))).AuditLogged.Query().Count(ctx(t))
				require.NoError(t, err)
				assert.Equal(t, 2, n)
			})
		})
	}
}

func sqlite(t *testing.T) *testdb.DB {
	t.Parallel()
	return testdb.New(t, testdb.SQLite)
}

func TestRunRefusesAtOnceWhatCanNeverWork(t *testing.T) {
	unbound, err := ent.NewSignalBus(ent.SignalSenders{}, entsignal.WithMissingSenders())
	require.NoError(t, err)
	require.ErrorIs(t, unbound.Run(ctx(t)), entsignal.ErrUnbound)
	p := first(t, sqlite(t))
	var unknown *entsignal.UnknownSignalError
	require.ErrorAs(t, p.bus.Run(ctx(t), entsignal.Exclude("Nope")), &unknown)
	require.ErrorIs(t, p.bus.Run(ctx(t), entsignal.Only("BadgeGiven")), entsignal.ErrNoSender)
	for _, bad := range []entsignal.FlushOption{entsignal.Poll(0), entsignal.Workers(0), entsignal.Burst(0), entsignal.HoldBack(-1)} {
		require.ErrorContains(t, p.bus.Run(ctx(t), bad), "Run: ")
	}
	require.ErrorContains(t, p.bus.Run(ctx(t), entsignal.Wait(0)), "Run doesn't use the option Wait; it uses: Only, Exclude, Workers, Burst, HoldBack, SkipDead, Poll")
	_, err = p.bus.Flush(ctx(t), entsignal.Poll(time.Second))
	require.ErrorContains(t, err, "doesn't use the option Poll")
	over, cancel := context.WithCancel(t.Context())
	cancel()
	require.NoError(t, p.bus.Run(over))
	require.NoError(t, p.bus.Close(ctx(t)))
	require.ErrorIs(t, p.bus.Run(ctx(t)), entsignal.ErrClosed)
}

// One type panics, another one's sender hangs and heeds nothing, the table of a
// third is locked: the fourth goes its way.
func TestNoTypeHoldsUpAnother(t *testing.T) {
	testdb.On(t, []testdb.Kind{testdb.PostgreSQL, testdb.PGX, testdb.MariaDB}, func(t *testing.T, db *testdb.DB) {
		p := first(t, db, entsignal.WithFlushTimeout(500*time.Millisecond))
		p.bus.SetAutoFlush(false)
		p.run(t)
		p.rests(t)
		release := make(chan struct{})
		defer close(release)
		p.orders.Before(func(context.Context, []*ent.OrderPlaced) error { panic("of a sender") })
		hanging := make(chan struct{}, 100)
		p.users.Before(func(context.Context, []*ent.UserJoined) error {
			hanging <- struct{}{}
			<-release
			return errors.New("late")
		})
		lock := db.Open(t)
		tx, err := lock.Begin()
		require.NoError(t, err)
		defer tx.Rollback()
		if db.Dialect == testdb.MariaDB.Dialect {
			_, err = tx.Exec("SELECT * FROM outgoing_shipments FOR UPDATE")
		} else {
			_, err = tx.Exec("LOCK TABLE outgoing_shipments IN ACCESS EXCLUSIVE MODE")
		}
		require.NoError(t, err)
		p.OrderPlaced.Create().SetNumber(1).ExecX(ctx(t))
		p.UserJoined.Create().SetNumber(1).ExecX(ctx(t))
		<-hanging

		slowest := time.Duration(0)
		for i := range 20 {
			began := time.Now()
			p.AuditLogged.Create().SetNumber(i + 1).ExecX(ctx(t))
			p.audits.WaitFor(t, i+1)
			slowest = max(slowest, time.Since(began))
		}
		assert.Less(t, slowest, 10*time.Second, "only what waits for one of the others takes that long")
		stuck := func() []string { return p.bus.RunState().Stuck() }
		assert.NotContains(t, stuck(), "AuditLogged")
		require.NoError(t, tx.Rollback())
	})
}

// A loop whose sender hangs and heeds nothing is stuck; it takes no more than a few
// connections with it, and goes on when the sender does.
func TestLoopWhoseSenderHangsIsStuckAndNoOther(t *testing.T) {
	testdb.On(t, []testdb.Kind{testdb.PostgreSQL}, func(t *testing.T, db *testdb.DB) {
		p := first(t, db, entsignal.WithFlushTimeout(100*time.Millisecond))
		release := make(chan struct{})
		called := make(chan struct{}, 100)
		p.audits.Before(func(context.Context, []*ent.AuditLogged) error {
			called <- struct{}{}
			<-release
			return errors.New("late")
		})
		p.audit(t, 10)
		p.run(t, entsignal.Only("AuditLogged", "ShipmentDue"))
		require.Eventually(t, func() bool {
			stuck := p.bus.RunState().Stuck()
			return len(stuck) == 1 && stuck[0] == "AuditLogged"
		}, 50*time.Second, 10*time.Millisecond)
		assert.LessOrEqual(t, len(called), 6, "each pass has two batches under way")
		p.audits.Before(nil)
		close(release)
		p.audits.WaitFor(t, 10)
		assert.Empty(t, p.bus.RunState().Stuck())
	})
}

// The row of a call that was abandoned is still held, so the passes after it find nothing.
func TestTypeDoesNotWorkAgainWhileItsSenderHangs(t *testing.T) {
	testdb.On(t, []testdb.Kind{testdb.PostgreSQL}, func(t *testing.T, db *testdb.DB) {
		p := first(t, db, entsignal.WithFlushTimeout(100*time.Millisecond))
		release := make(chan struct{})
		p.audits.Before(func(context.Context, []*ent.AuditLogged) error {
			<-release
			return errors.New("late")
		})
		p.audit(t, 1)
		p.run(t, entsignal.Only("AuditLogged"))
		loop := func() entsignal.LoopState { return append(p.bus.RunState().Loops, entsignal.LoopState{})[0] }
		require.Eventually(t, func() bool { return loop().Err != nil }, 50*time.Second, time.Millisecond)
		passes := loop().Passes
		require.Eventually(t, func() bool { return loop().Passes > passes+2 }, 50*time.Second, time.Millisecond)
		require.Error(t, loop().Err)
		assert.False(t, loop().FailingSince.IsZero())
		assert.Zero(t, p.log.Count("relay: works again"), "%s", p.log.String())
		p.audits.Before(nil)
		close(release)
		p.audits.WaitFor(t, 1)
		require.Eventually(t, func() bool { return loop().Err == nil }, 50*time.Second, time.Millisecond)
	})
}

func TestRelayLogsAFailureOnceAndWhenItIsOver(t *testing.T) {
	p := first(t, sqlite(t))
	failed := make(chan struct{}, 100)
	p.audits.Before(func(context.Context, []*ent.AuditLogged) error {
		failed <- struct{}{}
		return errors.New("the exchange is missing")
	})
	p.audit(t, 1)
	p.run(t, entsignal.Poll(10*time.Millisecond))
	for range 4 {
		<-failed
	}
	state := p.bus.RunState().Loops[0]
	assert.Equal(t, "AuditLogged", state.Signal)
	assert.False(t, state.FailingSince.IsZero())
	p.audits.Before(nil)
	p.audits.WaitFor(t, 1)
	require.Eventually(t, func() bool { return p.log.Count("relay: works again") == 1 }, 20*time.Second, time.Millisecond)
	assert.Equal(t, 1, p.log.Count("the exchange is missing"), "%s", &p.log)
	assert.Zero(t, p.log.Count("signals sent"), "each pass would be a line")
}

func TestRelayOutlivesABrokerThatIsAway(t *testing.T) {
	p := first(t, sqlite(t))
	tries := make(chan struct{}, 1000)
	p.audits.Before(func(context.Context, []*ent.AuditLogged) error {
		tries <- struct{}{}
		return entsignal.Unavailable(errors.New("no route to the broker"))
	})
	p.run(t)
	p.audit(t, 5)
	for range 3 {
		<-tries
		p.audit(t, 1) // a commit is no reason to try
	}
	assert.LessOrEqual(t, len(tries), 1)
	p.audits.Before(nil)
	p.audits.WaitFor(t, 8)
	assert.Equal(t, 1, p.log.Count("no route to the broker"), "%s", &p.log)
}

// Two relays of an ordered type take turns; one takes over when the other has ended.
func TestRelaysShareTheWorkWithoutALeader(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		a := first(t, db)
		b := start(t, db)
		endA := a.run(t)
		b.run(t)
		const n = 60
		record := func(from int) {
			for i := from; i < from+n/2; i += 2 {
				a.inTx(t, func(tx *ent.Tx) {
					tx.AuditLogged.Create().SetNumber(i).ExecX(ctx(t))
					tx.AuditLogged.Create().SetNumber(i + 1).ExecX(ctx(t))
					tx.ShipmentDue.Create().SetCustomer(fmt.Sprintf("%04d", i)).SetNumber(i).ExecX(ctx(t))
				})
			}
		}
		all := func() []int { return append(a.audits.Keys(), b.audits.Keys()...) }
		record(1)
		require.Eventually(t, func() bool { return len(all()) >= n/2 }, 50*time.Second, time.Millisecond)
		require.NoError(t, endA())
		record(n/2 + 1)
		require.Eventually(t, func() bool { return len(all()) >= n }, 50*time.Second, time.Millisecond)
		require.Eventually(t, func() bool { return len(a.shipments.Keys())+len(b.shipments.Keys()) >= n/2 }, 50*time.Second, time.Millisecond)
		assert.ElementsMatch(t, numbers(n), all())
		assert.IsIncreasing(t, b.shipments.Keys()[len(b.shipments.Keys())-n/4:])
	})
}

func TestAgeOfTheOldestIsAsThisProcessHasSeenIt(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		p := first(t, db)
		oldest := func() entsignal.Oldest {
			all, err := p.bus.Oldest(ctx(t), entsignal.Only("AuditLogged"))
			require.NoError(t, err)
			require.Len(t, all, 1)
			return all[0]
		}
		assert.Equal(t, entsignal.Oldest{Signal: "AuditLogged"}, oldest())
		assert.Zero(t, oldest().Age(time.Now()))
		p.audit(t, 2)
		seen := oldest()
		assert.Equal(t, "1", seen.ID)
		assert.Equal(t, time.Second, seen.Age(seen.Since.Add(time.Second)))
		p.audit(t, 1)
		assert.Equal(t, seen, oldest(), "the same one is pending since")
		p.AuditLogged.DeleteOneID(1).ExecX(ctx(t))
		next := oldest()
		assert.Equal(t, "2", next.ID)
		assert.True(t, next.Since.After(seen.Since))
	})
}
