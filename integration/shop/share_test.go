package shop_test

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/integration/internal/testdb"
	"github.com/entsignal/signalbus/integration/shop/ent"
)

// A gate holds up the first batch of a sender.
type gate struct {
	entered, open chan struct{}
	once          sync.Once
}

func newGate() *gate { return &gate{entered: make(chan struct{}), open: make(chan struct{})} }

func (g *gate) pass() {
	g.once.Do(func() {
		close(g.entered)
		<-g.open
	})
}

// behind commits the order 0, whose batch the gate holds up, and the orders 1
// to n behind it, and opens the gate when those are stored.
func (g *gate) behind(t *testing.T, s *shop, n int) {
	t.Helper()
	var commits sync.WaitGroup
	commit := func(number int) {
		commits.Go(func() {
			tx, err := s.Tx(ctx(t))
			if !assert.NoError(t, err) {
				return
			}
			order(tx.OrderPlaced, number).ExecX(ctx(t))
			assert.NoError(t, tx.Commit())
		})
	}
	commit(0)
	<-g.entered
	for number := 1; number <= n; number++ {
		commit(number)
	}
	for s.pending(t, "OrderPlaced") < n+1 {
	}
	close(g.open)
	commits.Wait()
}

func TestCommitsAtTheSameMomentLeaveAsOneBatch(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		s := open(t, db)
		gate := newGate()
		s.orders.Before(func(context.Context, []*ent.OrderPlaced) error { gate.pass(); return nil })
		const n = 20
		gate.behind(t, s, n)
		assert.ElementsMatch(t, append(numbers(n), 0), s.orders.Keys())
		assert.Zero(t, s.pending(t, "OrderPlaced"))
		assert.Less(t, len(s.orders.Batches()), n/2, "batches")
		assert.Empty(t, s.errors.all())
	})
}

func TestFailureInASharedBatchIsToldToItsOwnCommitOnly(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		s := open(t, db)
		gate := newGate()
		bad := errors.New("bad")
		s.orders.Before(func(_ context.Context, signals []*ent.OrderPlaced) error {
			gate.pass()
			return failures(signals, func(o *ent.OrderPlaced) error {
				if o.Number == 7 {
					return bad
				}
				return nil
			})
		})
		const n = 10
		gate.behind(t, s, n)
		assert.ElementsMatch(t, slices.DeleteFunc(numbers(n), func(i int) bool { return i == 7 }), s.orders.Keys()[1:])
		assert.Equal(t, 1, s.pending(t, "OrderPlaced"))
		errs := s.errors.all()
		require.Len(t, errs, 1)
		require.ErrorIs(t, errs[0], bad)
	})
}

func TestRowThatTheDatabaseKeepsHoldsUpNoOtherCommit(t *testing.T) {
	t.Parallel()
	testdb.On(t, []testdb.Kind{testdb.PostgreSQL, testdb.PGX}, func(t *testing.T, db *testdb.DB) {
		s := open(t, db)
		_, err := db.Open(t).Exec("CREATE RULE keep AS ON DELETE TO order_placeds WHERE old.number = 7 DO INSTEAD NOTHING")
		require.NoError(t, err)
		gate := newGate()
		s.orders.Before(func(context.Context, []*ent.OrderPlaced) error { gate.pass(); return nil })
		const n = 10
		gate.behind(t, s, n)
		assert.ElementsMatch(t, slices.DeleteFunc(numbers(n), func(i int) bool { return i == 7 }), s.orders.Keys()[1:])
		assert.Equal(t, 1, s.pending(t, "OrderPlaced"))
		assert.Len(t, s.errors.all(), 1)
	})
}

func TestSenderThatCommitsItsOwnTypeWithAnotherContextIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	testdb.On(t, []testdb.Kind{testdb.PostgreSQL, testdb.MariaDB}, func(t *testing.T, db *testdb.DB) {
		s := open(t, db)
		var nested atomic.Bool
		s.orders.Before(func(context.Context, []*ent.OrderPlaced) error {
			if nested.CompareAndSwap(false, true) {
				s.inTx(t, func(tx *ent.Tx) { order(tx.OrderPlaced, 2).ExecX(ctx(t)) })
			}
			return nil
		})
		s.inTx(t, func(tx *ent.Tx) { order(tx.OrderPlaced, 1).ExecX(ctx(t)) })
		assert.Equal(t, []int{2, 1}, s.orders.Keys())
		assert.Empty(t, s.errors.all())
	})
}

// failures returns the error of a sender whose signals fail as fail says.
func failures[T any](signals []T, fail func(T) error) error {
	errs := make([]error, len(signals))
	failed := false
	for i, s := range signals {
		errs[i] = fail(s)
		failed = failed || errs[i] != nil
	}
	if !failed {
		return nil
	}
	return &entsignal.BatchError{Errors: errs}
}

func TestSharedBatchThatFailsTellsEachCommitOfItsOwnSignals(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		s := open(t, db)
		gate := newGate()
		bad := errors.New("bad")
		s.orders.Before(func(_ context.Context, signals []*ent.OrderPlaced) error {
			gate.pass()
			return failures(signals, func(o *ent.OrderPlaced) error {
				if o.Number > 0 {
					return bad
				}
				return nil
			})
		})
		const n = 5
		gate.behind(t, s, n)
		errs := s.errors.all()
		require.Len(t, errs, n)
		idText := regexp.MustCompile(`id \d+`)
		var told []string
		for _, err := range errs {
			require.ErrorIs(t, err, bad)
			ids := idText.FindAllString(err.Error(), -1)
			assert.Len(t, ids, 1, "one signal of several: %v", err)
			told = append(told, ids...)
		}
		assert.ElementsMatch(t, []string{"id 2", "id 3", "id 4", "id 5", "id 6"}, told)
	})
}

func TestSlowBrokerGetsNoMoreSendersForIt(t *testing.T) {
	t.Parallel()
	testdb.On(t, []testdb.Kind{testdb.PostgreSQL, testdb.MariaDB}, func(t *testing.T, db *testdb.DB) {
		s := open(t, db)
		var atOnce, most atomic.Int32
		s.orders.Before(func(context.Context, []*ent.OrderPlaced) error {
			n := atOnce.Add(1)
			defer atOnce.Add(-1)
			for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
			}
			<-time.After(2500 * time.Millisecond) // the broker
			return nil
		})
		const n = 40
		var commits sync.WaitGroup
		for number := range n {
			commits.Go(func() {
				tx, err := s.Tx(ctx(t))
				if !assert.NoError(t, err) {
					return
				}
				order(tx.OrderPlaced, number).ExecX(ctx(t))
				assert.NoError(t, tx.Commit())
			})
		}
		commits.Wait()
		assert.LessOrEqual(t, most.Load(), int32(2), "senders at once")
		assert.Empty(t, s.errors.all())
		assert.Zero(t, s.pending(t, "OrderPlaced"))
		assert.Len(t, s.orders.Keys(), n)
	})
}
