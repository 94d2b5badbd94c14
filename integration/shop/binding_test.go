package shop_test

import (
	"context"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/integration/internal/testdb"
	"github.com/entsignal/signalbus/integration/shop/ent"
)

// sqlite runs a test on SQLite only: it is about no database.
func sqlite(t *testing.T) *testdb.DB {
	return testdb.New(t, testdb.SQLite)
}

func TestFlushThroughATransactionIsRefused(t *testing.T) {
	t.Parallel()
	s := open(t, sqlite(t))
	tx, err := s.Tx(ctx(t))
	require.NoError(t, err)
	defer tx.Rollback()
	o := order(tx.OrderPlaced, 1).SaveX(ctx(t))
	for name, c := range map[string]*ent.Client{"tx": tx.Client(), "debug": tx.Client().Debug()} {
		_, err = c.OrderPlaced.Flush(ctx(t))
		require.ErrorIs(t, err, entsignal.ErrInTx, name)
		_, err = c.OrderPlaced.FlushMany(ctx(t))
		require.ErrorIs(t, err, entsignal.ErrInTx, name)
		_, err = c.OrderPlaced.FlushOrdered(ctx(t))
		require.ErrorIs(t, err, entsignal.ErrInTx, name)
		_, err = c.OrderPlaced.Send(ctx(t), o)
		require.ErrorIs(t, err, entsignal.ErrInTx, name)
	}
}

func TestClientWithoutABusOnlyRecords(t *testing.T) {
	t.Parallel()
	db := sqlite(t)
	s := open(t, db)
	c := ent.NewClient(ent.Driver(db.Driver(t)))
	order(c.OrderPlaced, 1).SaveX(ctx(t))
	tx, err := c.Tx(ctx(t))
	require.NoError(t, err)
	o := order(tx.OrderPlaced, 2).SaveX(ctx(t))
	require.NoError(t, tx.Commit())
	assert.Equal(t, 2, s.pending(t, "OrderPlaced"))
	_, err = c.OrderPlaced.Flush(ctx(t))
	require.ErrorIs(t, err, entsignal.ErrUnbound)
	_, err = c.OrderPlaced.Send(ctx(t), o)
	require.ErrorIs(t, err, entsignal.ErrUnbound)
	_ = ent.NewClient(ent.Driver(db.Driver(t)), ent.WithSignalBus(nil))
}

func TestUnboundBusIsAnError(t *testing.T) {
	t.Parallel()
	bus, err := ent.NewSignalBus(newShop(t).senders)
	require.NoError(t, err)
	for _, flush := range []func(context.Context, ...entsignal.FlushOption) (int, error){bus.Flush, bus.FlushMany, bus.FlushOrdered} {
		_, err = flush(ctx(t))
		require.ErrorIs(t, err, entsignal.ErrUnbound)
	}
	_, err = bus.Pending(ctx(t))
	require.ErrorIs(t, err, entsignal.ErrUnbound)
	assert.Len(t, bus.Signals(), 8)
}

func TestSecondClientOfABusOnlyRecordsAndSaysSo(t *testing.T) {
	t.Parallel()
	db := sqlite(t)
	s := open(t, db)
	second := ent.NewClient(ent.Driver(db.Driver(t)), ent.WithSignalBus(s.bus))
	order(second.OrderPlaced, 1).SaveX(ctx(t))
	tx, err := second.Tx(ctx(t))
	require.NoError(t, err)
	order(tx.OrderPlaced, 2).SaveX(ctx(t))
	require.NoError(t, tx.Commit())
	assert.Empty(t, s.orders.Keys())
	errs := s.errors.all()
	require.Len(t, errs, 1, "once")
	require.ErrorIs(t, errs[0], entsignal.ErrBoundTwice)
	_, err = second.OrderPlaced.Flush(ctx(t))
	require.ErrorIs(t, err, entsignal.ErrBoundTwice)

	order(s.OrderPlaced, 3).SaveX(ctx(t))
	assert.Equal(t, []int{3}, s.orders.Keys(), "the first client is as before")
	n, err := s.bus.Flush(ctx(t), entsignal.Wait(0))
	require.NoError(t, err)
	assert.Equal(t, 2, n)
}

func TestMissingSenders(t *testing.T) {
	t.Parallel()
	db := sqlite(t)
	_, err := ent.NewSignalBus(ent.SignalSenders{})
	require.ErrorIs(t, err, entsignal.ErrNoSender)
	assert.ErrorContains(t, err, "OrderPlaced")
	assert.ErrorContains(t, err, "UserJoined")

	s := newShop(t)
	s.senders.OrderPlaced = nil
	s.open(t, db, entsignal.WithMissingSenders())
	s.createTables(t)
	s.inTx(t, func(tx *ent.Tx) {
		order(tx.OrderPlaced, 1).SaveX(ctx(t))
		tx.UserJoined.Create().SetNumber(2).SaveX(ctx(t))
	})
	assert.Equal(t, []int{2}, s.users.Keys())
	assert.Equal(t, 1, s.pending(t, "OrderPlaced"))
	n, err := s.bus.FlushMany(ctx(t))
	require.NoError(t, err)
	assert.Zero(t, n)
	_, err = s.bus.FlushMany(ctx(t), entsignal.Only("OrderPlaced"))
	require.ErrorIs(t, err, entsignal.ErrNoSender)
	_, err = s.OrderPlaced.Flush(ctx(t))
	require.ErrorIs(t, err, entsignal.ErrNoSender)
}

func TestUnknownNamesAndUnusedOptionsAreErrors(t *testing.T) {
	t.Parallel()
	s := open(t, sqlite(t))
	order(s.OrderPlaced, 1).SaveX(ctx(t))
	s.audit(t, 1)
	var unknown *entsignal.UnknownSignalError
	_, err := s.bus.FlushMany(ctx(t), entsignal.Only("AuditLogged", "Nope"))
	require.ErrorAs(t, err, &unknown)
	assert.Equal(t, "Nope", unknown.Name)
	assert.Contains(t, unknown.Known, "OrderPlaced")
	_, err = s.bus.Pending(ctx(t), entsignal.Exclude("Nope"))
	require.ErrorAs(t, err, &unknown)
	assert.Empty(t, s.audits.Keys())

	for what, call := range map[string]func() (int, error){
		"Workers of Flush":        func() (int, error) { return s.bus.Flush(ctx(t), entsignal.Workers(2)) },
		"Wait of FlushMany":       func() (int, error) { return s.bus.FlushMany(ctx(t), entsignal.Wait(0)) },
		"Workers of FlushOrdered": func() (int, error) { return s.bus.FlushOrdered(ctx(t), entsignal.Workers(2)) },
		"Only of a client":        func() (int, error) { return s.AuditLogged.FlushMany(ctx(t), entsignal.Only("AuditLogged")) },
		"Workers(0)":              func() (int, error) { return s.bus.FlushMany(ctx(t), entsignal.Workers(0)) },
		"Burst(0)":                func() (int, error) { return s.bus.FlushMany(ctx(t), entsignal.Burst(0)) },
		"Wait(-1)":                func() (int, error) { return s.bus.Flush(ctx(t), entsignal.Wait(-1)) },
		"the zero option":         func() (int, error) { return s.bus.Flush(ctx(t), entsignal.FlushOption{}) },
	} {
		_, err := call()
		assert.Error(t, err, what)
	}
	_, err = s.bus.Pending(ctx(t), entsignal.Burst(3))
	require.Error(t, err)
	assert.Empty(t, s.audits.Keys(), "nothing was sent")

	n, err := s.bus.FlushMany(ctx(t), entsignal.Exclude("AuditLogged"))
	require.NoError(t, err)
	assert.Zero(t, n)
	n, err = s.bus.FlushMany(ctx(t), entsignal.Only())
	require.NoError(t, err)
	assert.Zero(t, n, "no name is no signal")
}

func TestSignalsDescribesThem(t *testing.T) {
	t.Parallel()
	s := open(t, sqlite(t))
	var names []string
	for _, info := range s.bus.Signals() {
		names = append(names, info.Name)
		if info.Name == "ShipmentDue" {
			assert.Equal(t, entsignal.Info{
				Name: "ShipmentDue", Table: "outgoing_shipments", AutoFlush: false, BurstCount: 3,
				OrderBy: []entsignal.OrderTerm{"customer", "-number"},
			}, info)
		}
	}
	assert.Equal(t, []string{"AuditLogged", "BadgeGiven", "InvoiceIssued", "Measured", "OrderPlaced", "ShipmentDue", "TicketOpened", "UserJoined"}, names)
}

func TestClosedBusLeavesSignalsPending(t *testing.T) {
	t.Parallel()
	s := open(t, sqlite(t))
	require.NoError(t, s.bus.Close(ctx(t)))
	require.NoError(t, s.bus.Close(ctx(t)), "twice")
	s.inTx(t, func(tx *ent.Tx) { order(tx.OrderPlaced, 1).SaveX(ctx(t)) })
	assert.Equal(t, 1, s.pending(t, "OrderPlaced"))
	errs := s.errors.all()
	require.Len(t, errs, 1)
	require.ErrorIs(t, errs[0], entsignal.ErrClosed)
	_, err := s.bus.Flush(ctx(t))
	require.ErrorIs(t, err, entsignal.ErrClosed)
}

func TestAbandonedTransactionLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	s := open(t, sqlite(t))
	collected := make(chan struct{})
	func() {
		c, cancel := context.WithCancel(ctx(t))
		defer cancel() // database/sql rolls back
		tx, err := s.Tx(c)
		require.NoError(t, err)
		runtime.AddCleanup(tx, func(struct{}) { close(collected) }, struct{}{})
		order(tx.OrderPlaced, 1).SaveX(c)
	}()
	require.Eventually(t, func() bool {
		runtime.GC()
		select {
		case <-collected:
			return true
		default:
			return false
		}
	}, 2*time.Minute, 10*time.Millisecond)
	n, err := s.bus.Flush(ctx(t), entsignal.Wait(0))
	require.NoError(t, err)
	assert.Zero(t, n)
}
