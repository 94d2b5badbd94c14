package testkit

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/entsignal/entsignaltest"
	"github.com/entsignal/signalbus/integration/internal/testdb"
	"github.com/entsignal/signalbus/integration/shop/ent"
)

var errRefused = errors.New("refused")

// failOn returns what refuses the order with a number.
func failOn(n int) func(*ent.OrderPlaced) error {
	return func(s *ent.OrderPlaced) error {
		if s.Number == n {
			return errRefused
		}
		return nil
	}
}

func pending(t *testing.T, s *shop) int {
	t.Helper()
	return s.OrderPlaced.Query().CountX(ctx(t))
}

func TestFailWhereFailsWhatMatchesUntilItIsStopped(t *testing.T) {
	testdb.On(t, kinds, func(t *testing.T, db *testdb.DB) {
		s := open(t, db)
		fault := entsignaltest.FailWhere(s.outbox, failOn(2))
		s.order(t, 1)
		assert.Zero(t, fault.Struck())
		s.order(t, 2, 3)
		assert.Equal(t, 1, fault.Struck())
		assert.Equal(t, []int{1, 3}, numbers(entsignaltest.Sent[*ent.OrderPlaced](s.outbox)))
		require.ErrorIs(t, s.outbox.Drain(ctx(t)), errRefused)
		assert.Equal(t, 2, fault.Struck())
		fault.Stop()
		fault.Stop()
		require.NoError(t, s.outbox.Drain(ctx(t)))
		assert.Equal(t, []int{1, 3, 2}, numbers(entsignaltest.Sent[*ent.OrderPlaced](s.outbox)))
		assert.Equal(t, 2, fault.Struck())
	})
}

func TestFailWhereEndsAnOrderedFlush(t *testing.T) {
	testdb.On(t, kinds, func(t *testing.T, db *testdb.DB) {
		s := open(t, db)
		for n := range 3 {
			s.ShipmentDue.Create().SetCustomer("Ada").SetNumber(n).ExecX(ctx(t))
		}
		fault := entsignaltest.FailWhere(s.outbox, func(due *ent.ShipmentDue) error {
			if due.Number == 1 {
				return errRefused
			}
			return nil
		})
		require.ErrorIs(t, s.outbox.Drain(ctx(t)), errRefused)
		assert.Equal(t, 2, entsignaltest.One[*ent.ShipmentDue](s.outbox).Number)
		assert.Equal(t, 1, fault.Struck())
	})
}

func TestFailNthFailsOneSignalOnce(t *testing.T) {
	testdb.On(t, kinds, func(t *testing.T, db *testdb.DB) {
		s := open(t, db)
		fault := entsignaltest.FailNth[*ent.OrderPlaced](s.outbox, 2, errRefused)
		s.order(t, 1)
		assert.Zero(t, fault.Struck())
		s.order(t, 2, 3)
		assert.Equal(t, 1, fault.Struck())
		assert.Equal(t, 1, pending(t, s))
		require.NoError(t, s.outbox.Drain(ctx(t)))
		assert.Equal(t, []int{1, 3, 2}, numbers(entsignaltest.Sent[*ent.OrderPlaced](s.outbox)))
		assert.Equal(t, 1, fault.Struck())
	})
}

func TestAwayLeavesAllPendingUntilItIsBack(t *testing.T) {
	testdb.On(t, kinds, func(t *testing.T, db *testdb.DB) {
		var reported []error
		s := open(t, db, entsignal.WithErrorHandler(func(_ context.Context, err error) { reported = append(reported, err) }))
		back := entsignaltest.Away[*ent.OrderPlaced](s.outbox)
		assert.Zero(t, entsignaltest.Struck[*ent.OrderPlaced](s.outbox))
		s.order(t, 1, 2, 3, 4, 5)
		require.NotEmpty(t, reported)
		assert.True(t, entsignal.IsUnavailable(reported[0]))
		assert.ErrorIs(t, reported[0], entsignaltest.ErrAway)
		struck := entsignaltest.Struck[*ent.OrderPlaced](s.outbox)
		assert.GreaterOrEqual(t, struck, 3)
		require.ErrorIs(t, s.outbox.Drain(ctx(t)), entsignaltest.ErrAway)
		assert.Equal(t, struck+1, entsignaltest.Struck[*ent.OrderPlaced](s.outbox))
		entsignaltest.None[*ent.OrderPlaced](s.outbox)
		back()
		require.NoError(t, s.outbox.Drain(ctx(t)))
		assert.Len(t, entsignaltest.Sent[*ent.OrderPlaced](s.outbox), 5)
		s.order(t, 6)
		entsignaltest.One(s.outbox, is(6))
	})
}

func TestHangEndsWithItsReleaseOrWithTheTimeOfTheBatch(t *testing.T) {
	testdb.On(t, kinds, func(t *testing.T, db *testdb.DB) {
		s := open(t, db)
		release := entsignaltest.Hang[*ent.OrderPlaced](s.outbox)
		committed := make(chan struct{})
		go func() {
			defer close(committed)
			s.order(t, 1)
		}()
		entsignaltest.EventuallyStruck[*ent.OrderPlaced](s.outbox, 1)
		select {
		case <-committed:
			t.Error("the commit should wait for its autoflush")
		default:
		}
		release()
		<-committed
		entsignaltest.One[*ent.OrderPlaced](s.outbox)
		release()
		s.order(t, 2)
		assert.Equal(t, 1, entsignaltest.Struck[*ent.OrderPlaced](s.outbox))

		senders, outbox := entsignaltest.Senders[ent.SignalSenders](t)
		entsignaltest.Hang[*ent.OrderPlaced](outbox)
		c, cancel := context.WithCancel(t.Context())
		failed := make(chan error, 1)
		go func() { failed <- senders.OrderPlaced(c, []*ent.OrderPlaced{{}}) }()
		entsignaltest.EventuallyStruck[*ent.OrderPlaced](outbox, 1)
		cancel()
		require.ErrorIs(t, <-failed, context.Canceled)
		entsignaltest.None[*ent.OrderPlaced](outbox)
	})
}

func TestPanicIsTheErrorOfItsBatch(t *testing.T) {
	testdb.On(t, kinds, func(t *testing.T, db *testdb.DB) {
		s := open(t, db)
		fault := entsignaltest.Panic[*ent.OrderPlaced](s.outbox, "boom")
		s.order(t, 1)
		assert.Equal(t, 1, fault.Struck())
		require.ErrorContains(t, s.outbox.Drain(ctx(t)), "boom")
		assert.Equal(t, 2, fault.Struck())
		entsignaltest.None[*ent.OrderPlaced](s.outbox)
		fault.Stop()
		require.NoError(t, s.outbox.Drain(ctx(t)))
		entsignaltest.One[*ent.OrderPlaced](s.outbox)
	})
}

func TestLostConfirmRepeatsTheMessage(t *testing.T) {
	testdb.On(t, kinds, func(t *testing.T, db *testdb.DB) {
		s := open(t, db)
		fault := entsignaltest.LoseConfirm[*ent.OrderPlaced](s.outbox, 1)
		s.order(t, 1, 2)
		assert.Equal(t, 1, fault.Struck())
		assert.Equal(t, []int{1, 2}, numbers(entsignaltest.Sent[*ent.OrderPlaced](s.outbox)))
		assert.Equal(t, 1, pending(t, s))
		require.NoError(t, s.outbox.Drain(ctx(t)))
		assert.Equal(t, []int{1, 2, 1}, numbers(entsignaltest.Sent[*ent.OrderPlaced](s.outbox)))
		assert.Equal(t, 1, fault.Struck())
		batches := entsignaltest.Batches[*ent.OrderPlaced](s.outbox)
		assert.Equal(t, batches[0].Items, batches[2].Items, "a consumer knows the repeat by its id")
		text := failure(t, func(t testing.TB) { entsignaltest.One(s.outbox.For(t), is(1)) })
		assert.Contains(t, text, "  1. OrderPlaced(id=1, number=1, customer=Ada), by autoflush, reported as failed: entsignaltest: the message is stored, but its confirm is lost\n")
		assert.Contains(t, text, "  3. OrderPlaced(id=1, number=1, customer=Ada), by flushmany, the same row as 1\n")
	})
}

func TestInterceptAnswersAsASenderDoes(t *testing.T) {
	testdb.On(t, kinds, func(t *testing.T, db *testdb.DB) {
		s := open(t, db)
		s.bus.SetAutoFlush(false)
		s.order(t, 1, 2, 3)
		fault := entsignaltest.Intercept(s.outbox, func(ctx context.Context, orders []*ent.OrderPlaced) error {
			batch, ok := entsignal.BatchFromContext(ctx)
			assert.True(t, ok)
			assert.Len(t, batch.Items, len(orders))
			errs := make([]error, len(orders))
			errs[0] = errRefused
			return &entsignal.BatchError{Errors: errs}
		})
		_, err := s.bus.FlushMany(ctx(t), entsignal.Burst(3))
		require.ErrorIs(t, err, errRefused)
		assert.Equal(t, []int{2, 3}, numbers(entsignaltest.Sent[*ent.OrderPlaced](s.outbox)))
		assert.Equal(t, 1, fault.Struck())
		fault.Stop()
		require.NoError(t, s.outbox.Drain(ctx(t)))
		assert.Equal(t, []int{2, 3, 1}, numbers(entsignaltest.Sent[*ent.OrderPlaced](s.outbox)))
	})
}

func TestFaultsOfOneTypeSpareTheOthers(t *testing.T) {
	testdb.On(t, kinds, func(t *testing.T, db *testdb.DB) {
		s := open(t, db)
		entsignaltest.Panic[*ent.OrderPlaced](s.outbox, "boom")
		s.UserJoined.Create().SetNumber(1).ExecX(ctx(t))
		entsignaltest.One[*ent.UserJoined](s.outbox)
		assert.Zero(t, entsignaltest.Struck[*ent.OrderPlaced](s.outbox))
	})
}
