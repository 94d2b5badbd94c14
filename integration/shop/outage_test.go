package shop_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/integration/internal/testdb"
	"github.com/entsignal/signalbus/integration/shop/ent"
	"github.com/entsignal/signalbus/internal/testlog"
)

func TestBrokerThatIsAwayIsTriedNowAndThenAndSaidOnce(t *testing.T) {
	t.Parallel()
	testdb.On(t, []testdb.Kind{testdb.PostgreSQL, testdb.SQLite}, func(t *testing.T, db *testdb.DB) {
		log := &testlog.Log{}
		s := open(t, db, entsignal.WithLogger(log.Logger()))
		var calls atomic.Int32
		away := entsignal.Unavailable(errors.New("away"))
		s.orders.Before(func(context.Context, []*ent.OrderPlaced) error { calls.Add(1); return away })
		number := 0
		commit := func() {
			number++
			s.inTx(t, func(tx *ent.Tx) { order(tx.OrderPlaced, number).ExecX(ctx(t)) })
		}
		for range 100 {
			commit()
		}
		assert.Less(t, calls.Load(), int32(50), "tries")
		assert.Equal(t, 100, s.pending(t, "OrderPlaced"))
		require.Len(t, log.Lines(), 1)
		assert.Contains(t, log.Lines()[0], `level=WARN msg="broker or database is unavailable, signals stay pending" signal=OrderPlaced error=`)

		// A flush that somebody asks for tries at once, with one row.
		var size atomic.Int32
		s.orders.Before(func(_ context.Context, signals []*ent.OrderPlaced) error {
			size.CompareAndSwap(0, int32(len(signals)))
			return away
		})
		_, err := s.OrderPlaced.FlushMany(ctx(t), entsignal.Burst(50))
		require.ErrorIs(t, err, away)
		assert.EqualValues(t, 1, size.Load())

		s.orders.Before(nil)
		n, err := s.OrderPlaced.FlushMany(ctx(t), entsignal.Burst(50))
		require.NoError(t, err)
		assert.Equal(t, 100, n)
		assert.Equal(t, numbers(100), s.orders.Keys())
		batches := s.orders.Batches()
		assert.Len(t, batches[0].Signals, 1, "the first batch tries the way")
		assert.Len(t, batches[1].Signals, 50)
		require.Len(t, log.Lines(), 3)
		assert.Contains(t, log.Lines()[1], `level=INFO msg="broker and database are available again, sending continues" signal=OrderPlaced away_for=`)

		s.outbox.Reset()
		commit()
		assert.Equal(t, []int{101}, s.orders.Keys(), "commits send again")
	})
}

func TestAutoflushFindsTheBrokerThatIsBack(t *testing.T) {
	t.Parallel()
	testdb.On(t, []testdb.Kind{testdb.PostgreSQL, testdb.SQLite}, func(t *testing.T, db *testdb.DB) {
		s := open(t, db)
		var back atomic.Bool
		s.orders.Before(func(context.Context, []*ent.OrderPlaced) error {
			if back.Load() {
				return nil
			}
			return entsignal.Unavailable(errors.New("away"))
		})
		for number := 1; len(s.orders.Keys()) == 0; number++ {
			s.inTx(t, func(tx *ent.Tx) { order(tx.OrderPlaced, number).ExecX(ctx(t)) })
			back.Store(number >= 5)
		}
		s.outbox.Reset()
		s.inTx(t, func(tx *ent.Tx) { order(tx.OrderPlaced, 0).ExecX(ctx(t)) })
		assert.Equal(t, []int{0}, s.orders.Keys())
	})
}

func TestFlushManySendsTheNextBatchWhileTheLastIsConfirmed(t *testing.T) {
	t.Parallel()
	testdb.On(t, []testdb.Kind{testdb.PostgreSQL, testdb.MariaDB}, func(t *testing.T, db *testdb.DB) {
		s := open(t, db)
		s.audit(t, 20)
		var atOnce, most atomic.Int32
		second := make(chan struct{})
		s.audits.Before(func(c context.Context, signals []*ent.AuditLogged) error {
			n := atOnce.Add(1)
			defer atOnce.Add(-1)
			for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
			}
			entsignal.Published(c)
			if signals[0].Number == 1 { // its confirm comes after the second batch was sent
				select {
				case <-second:
				case <-c.Done():
					return c.Err()
				}
			}
			if signals[0].Number == 6 {
				close(second)
			}
			return nil
		})
		n, err := s.AuditLogged.FlushMany(ctx(t), entsignal.Burst(5))
		require.NoError(t, err)
		assert.Equal(t, 20, n)
		assert.ElementsMatch(t, numbers(20), s.audits.Keys())
		assert.LessOrEqual(t, most.Load(), int32(2))

		// A sender that doesn't say so is called by one worker at a time.
		s.audit(t, 20)
		most.Store(0)
		s.audits.Before(func(context.Context, []*ent.AuditLogged) error {
			n := atOnce.Add(1)
			defer atOnce.Add(-1)
			for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
			}
			return nil
		})
		_, err = s.AuditLogged.FlushMany(ctx(t), entsignal.Burst(1))
		require.NoError(t, err)
		assert.EqualValues(t, 1, most.Load())
	})
}

func TestSenderThatHangsIsTriedNowAndThen(t *testing.T) {
	t.Parallel()
	testdb.On(t, []testdb.Kind{testdb.PostgreSQL, testdb.SQLite}, func(t *testing.T, db *testdb.DB) {
		log := &testlog.Log{}
		s := open(t, db, entsignal.WithFlushTimeout(2*time.Second), entsignal.WithLogger(log.Logger()))
		var calls atomic.Int32
		s.orders.Before(func(ctx context.Context, _ []*ent.OrderPlaced) error {
			calls.Add(1)
			<-ctx.Done()
			return ctx.Err()
		})
		for number := range 20 {
			s.inTx(t, func(tx *ent.Tx) { order(tx.OrderPlaced, number).ExecX(ctx(t)) })
		}
		assert.LessOrEqual(t, calls.Load(), int32(6), "tries") // 3, and one more for each pause on a slow machine
		assert.Equal(t, 20, s.pending(t, "OrderPlaced"))
		assert.Equal(t, 1, log.Count("broker or database is unavailable"))

		s.orders.Before(nil)
		n, err := s.OrderPlaced.FlushMany(ctx(t))
		require.NoError(t, err)
		assert.Equal(t, 20, n)
		s.outbox.Reset()
		s.inTx(t, func(tx *ent.Tx) { order(tx.OrderPlaced, 20).ExecX(ctx(t)) })
		assert.Equal(t, []int{20}, s.orders.Keys(), "commits send again")
	})
}
