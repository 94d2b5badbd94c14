package shop_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/integration/internal/testdb"
	"github.com/entsignal/signalbus/integration/shop/ent"
)

func TestAsyncCommitDoesNotWaitAndCloseDrains(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		s := open(t, db, entsignal.WithAsync(100))
		gate := newGate()
		s.orders.Before(func(context.Context, []*ent.OrderPlaced) error { gate.pass(); return nil })
		for number := 1; number <= 5; number++ {
			s.inTx(t, func(tx *ent.Tx) { order(tx.OrderPlaced, number).ExecX(ctx(t)) })
		}
		<-gate.entered
		assert.Equal(t, 5, s.pending(t, "OrderPlaced"), "all are committed, none is sent")
		closed := make(chan error)
		go func() { closed <- s.bus.Close(ctx(t)) }()
		close(gate.open)
		require.NoError(t, <-closed)
		assert.ElementsMatch(t, numbers(5), s.orders.Keys())
		assert.Zero(t, s.pending(t, "OrderPlaced"))
		assert.Empty(t, s.errors.all())
	})
}

func TestAsyncQueueThatIsFullLeavesSignalsPendingAndSaysSoOnce(t *testing.T) {
	t.Parallel()
	testdb.On(t, []testdb.Kind{testdb.PostgreSQL, testdb.SQLite}, func(t *testing.T, db *testdb.DB) {
		s := open(t, db, entsignal.WithAsync(2))
		gate := newGate()
		s.orders.Before(func(context.Context, []*ent.OrderPlaced) error { gate.pass(); return nil })
		for number := 1; number <= 5; number++ {
			s.inTx(t, func(tx *ent.Tx) { order(tx.OrderPlaced, number).ExecX(ctx(t)) })
		}
		errs := s.errors.all()
		require.Len(t, errs, 1)
		require.ErrorIs(t, errs[0], entsignal.ErrQueueFull)
		close(gate.open)
		s.orders.WaitFor(t, 2)
		assert.ElementsMatch(t, numbers(2), s.orders.Keys(), "two commits that nobody waits for")

		for s.pending(t, "OrderPlaced") > 3 { // until the two are deleted
		}
		n, err := s.OrderPlaced.FlushMany(ctx(t))
		require.NoError(t, err)
		assert.Equal(t, 3, n)
		assert.Equal(t, numbers(5)[2:], s.orders.Keys()[2:])
	})
}

func TestAsyncCommitLargerThanTheQueueIsSentWhenItIsEmpty(t *testing.T) {
	t.Parallel()
	testdb.On(t, []testdb.Kind{testdb.SQLite}, func(t *testing.T, db *testdb.DB) {
		s := open(t, db, entsignal.WithAsync(2))
		s.inTx(t, func(tx *ent.Tx) {
			for number := 1; number <= 5; number++ {
				order(tx.OrderPlaced, number).ExecX(ctx(t))
			}
		})
		require.NoError(t, s.bus.Close(ctx(t)))
		assert.Equal(t, numbers(5), s.orders.Keys())
	})
}

func TestBadOptionsOfABusAreRefused(t *testing.T) {
	t.Parallel()
	_, err := ent.NewSignalBus(newShop(t).senders, entsignal.WithAsync(0))
	require.EqualError(t, err, "entsignal: WithAsync: a queue of 0 signals; expected 1 or more")
}
