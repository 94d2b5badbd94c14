package shop_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/integration/internal/testdb"
	"github.com/entsignal/signalbus/integration/shop/ent"
)

func TestFailedSenderLeavesItsSignalsAndCommitSucceeds(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		s := open(t, db)
		down := errors.New("down")
		s.orders.Before(func(context.Context, []*ent.OrderPlaced) error { return down })
		s.inTx(t, func(tx *ent.Tx) {
			tx.OrderPlaced.Create().SetNumber(1).SaveX(ctx(t))
			tx.UserJoined.Create().SetNumber(2).SaveX(ctx(t))
		})
		assert.Equal(t, []int{2}, s.users.Keys(), "the other type is sent")
		assert.Equal(t, 1, s.pending(t, "OrderPlaced"))
		errs := s.errors.all()
		require.Len(t, errs, 1)
		require.ErrorIs(t, errs[0], down)
		var failed *entsignal.FlushError
		require.ErrorAs(t, errs[0], &failed)
		assert.Equal(t, "OrderPlaced", failed.Signal)

		s.orders.Before(nil)
		n, err := s.OrderPlaced.Flush(ctx(t), entsignal.Wait(0))
		require.NoError(t, err)
		assert.Equal(t, 1, n)
		assert.Equal(t, []int{1}, s.orders.Keys())
	})
}

func TestSenderThatBreaksItsContractLosesNothing(t *testing.T) {
	t.Parallel()
	for name, send := range map[string]func(context.Context, []*ent.OrderPlaced) error{
		"panics":                        func(context.Context, []*ent.OrderPlaced) error { panic("boom") },
		"ends its goroutine":            func(context.Context, []*ent.OrderPlaced) error { runtime.Goexit(); return nil },
		"reports too few":               func(context.Context, []*ent.OrderPlaced) error { return &entsignal.BatchError{Errors: []error{nil}} },
		"waits until its context ends":  func(ctx context.Context, _ []*ent.OrderPlaced) error { <-ctx.Done(); return ctx.Err() },
		"dereferences what isn't there": func(context.Context, []*ent.OrderPlaced) error { var o *ent.OrderPlaced; _ = o.Number; return nil },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testdb.On(t, []testdb.Kind{testdb.PostgreSQL, testdb.SQLite}, func(t *testing.T, db *testdb.DB) {
				s := newShop(t)
				s.senders.OrderPlaced = send
				s.open(t, db, entsignal.WithFlushTimeout(time.Second))
				s.createTables(t)
				s.inTx(t, func(tx *ent.Tx) {
					tx.OrderPlaced.Create().SetNumber(1).SaveX(ctx(t))
					tx.OrderPlaced.Create().SetNumber(2).SaveX(ctx(t))
				})
				assert.Len(t, s.errors.all(), 1)
				assert.Equal(t, 2, s.pending(t, "OrderPlaced"))
				n, err := s.peer(t).bus.Flush(ctx(t), entsignal.Wait(0))
				require.NoError(t, err, "a lock is left")
				assert.Equal(t, 2, n)
			})
		})
	}
}

func TestSenderThatIgnoresItsContextDoesNotHoldUpTheCommit(t *testing.T) {
	t.Parallel()
	testdb.On(t, []testdb.Kind{testdb.PostgreSQL, testdb.SQLite}, func(t *testing.T, db *testdb.DB) {
		s := newShop(t)
		release, record := make(chan struct{}), s.senders.OrderPlaced
		s.senders.OrderPlaced = func(ctx context.Context, signals []*ent.OrderPlaced) error {
			<-release
			return record(context.WithoutCancel(ctx), signals)
		}
		s.open(t, db, entsignal.WithFlushTimeout(3*time.Second))
		s.createTables(t)
		s.inTx(t, func(tx *ent.Tx) { tx.OrderPlaced.Create().SetNumber(1).SaveX(ctx(t)) })
		errs := s.errors.all()
		require.Len(t, errs, 1)
		assert.ErrorContains(t, errs[0], "abandoned, still running: flush timeout of 3s")
		closing, cancel := context.WithTimeout(ctx(t), time.Millisecond)
		defer cancel()
		require.ErrorIs(t, s.bus.Close(closing), context.DeadlineExceeded)
		close(release)
		require.NoError(t, s.bus.Close(ctx(t)))
		assert.Zero(t, s.pending(t, "OrderPlaced"), "what was sent late is deleted")
	})
}

func TestSenderMayCommitSignals(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		s := open(t, db)
		s.orders.Before(func(ctx context.Context, orders []*ent.OrderPlaced) error {
			tx, err := s.Tx(ctx)
			if err != nil {
				return err
			}
			for _, o := range orders {
				tx.UserJoined.Create().SetNumber(10 + o.Number).SaveX(ctx)
			}
			if err := tx.Commit(); err != nil {
				return err
			}
			assert.Empty(t, s.users.Keys(), "sent within the flush of the other")
			return nil
		})
		s.inTx(t, func(tx *ent.Tx) {
			tx.OrderPlaced.Create().SetNumber(1).SaveX(ctx(t))
			tx.OrderPlaced.Create().SetNumber(2).SaveX(ctx(t))
		})
		assert.Equal(t, []int{11, 12}, s.users.Keys())
		assert.Empty(t, s.errors.all())
	})
}

func TestErrorsOfOthersDoNotCountAsSent(t *testing.T) {
	t.Parallel()
	part := &entsignal.BatchError{Errors: []error{nil, errors.New("no")}}
	for name, c := range map[string]struct {
		err  error
		left int
	}{
		"joined":              {errors.Join(part, errors.New("the second broker got nothing")), 2},
		"of another flush":    {&entsignal.FlushError{Signal: "X", Err: part}, 2},
		"wrapped":             {fmt.Errorf("send: %w", part), 1},
		"marked":              {entsignal.Unavailable(part), 1},
		"of the wrong length": {&entsignal.BatchError{Errors: make([]error, 3)}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testdb.On(t, []testdb.Kind{testdb.PostgreSQL, testdb.SQLite}, func(t *testing.T, db *testdb.DB) {
				s := newShop(t)
				s.senders.OrderPlaced = func(context.Context, []*ent.OrderPlaced) error { return c.err }
				s.open(t, db)
				s.createTables(t)
				s.inTx(t, func(tx *ent.Tx) {
					order(tx.OrderPlaced, 1).SaveX(ctx(t))
					order(tx.OrderPlaced, 2).SaveX(ctx(t))
				})
				assert.Equal(t, c.left, s.pending(t, "OrderPlaced"))
				errs := s.errors.all()
				require.Len(t, errs, 1)
				assert.Equal(t, name == "marked", entsignal.IsUnavailable(errs[0]))
			})
		})
	}
}

func TestEachSurvivesThePanicOfOneSignal(t *testing.T) {
	t.Parallel()
	testdb.On(t, []testdb.Kind{testdb.PostgreSQL, testdb.SQLite}, func(t *testing.T, db *testdb.DB) {
		s := newShop(t)
		var sent []int
		s.senders.OrderPlaced = entsignal.Each(func(_ context.Context, o *ent.OrderPlaced) error {
			if o.Number == 2 {
				panic("boom")
			}
			sent = append(sent, o.Number)
			return nil
		})
		s.open(t, db)
		s.createTables(t)
		s.inTx(t, func(tx *ent.Tx) {
			for i := range 3 {
				order(tx.OrderPlaced, i+1).SaveX(ctx(t))
			}
		})
		assert.Equal(t, []int{1, 3}, sent)
		assert.Equal(t, 1, s.pending(t, "OrderPlaced"))
	})
}

func TestSenderMayCommitSignalsOfAnotherBus(t *testing.T) {
	t.Parallel()
	testdb.On(t, []testdb.Kind{testdb.PostgreSQL, testdb.SQLite}, func(t *testing.T, db *testdb.DB) {
		s, other := open(t, db), open(t, testdb.New(t, db.Kind))
		s.orders.Before(func(ctx context.Context, _ []*ent.OrderPlaced) error {
			tx, err := other.Tx(ctx)
			if err != nil {
				return err
			}
			tx.OrderPlaced.Create().SetNumber(7).ExecX(ctx)
			return tx.Commit()
		})
		s.inTx(t, func(tx *ent.Tx) { order(tx.OrderPlaced, 1).SaveX(ctx(t)) })
		assert.Equal(t, []int{7}, other.orders.Keys())
		assert.Equal(t, []int{1}, s.orders.Keys())
	})
}

func TestSenderThatFlushesOnSQLiteIsToldAtOnce(t *testing.T) {
	t.Parallel()
	s := open(t, sqlite(t))
	var nested error
	s.orders.Before(func(ctx context.Context, _ []*ent.OrderPlaced) error {
		_, nested = s.bus.FlushMany(ctx)
		return nil
	})
	s.inTx(t, func(tx *ent.Tx) { order(tx.OrderPlaced, 1).SaveX(ctx(t)) })
	require.ErrorContains(t, nested, "a sender can't flush on SQLite")
	assert.Equal(t, []int{1}, s.orders.Keys())
}

func TestWhatSendersCommitWhileTheFirstFollowsFollowsToo(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		s := open(t, db)
		s.audit(t, 1)
		var ofFlush context.Context
		s.audits.Before(func(ctx context.Context, _ []*ent.AuditLogged) error {
			ofFlush = ctx
			return order(s.OrderPlaced, 1).Exec(ctx)
		})
		s.orders.Before(func(_ context.Context, signals []*ent.OrderPlaced) error {
			if signals[0].Number == 1 { // as work that the first sender has left behind
				return order(s.OrderPlaced, 2).Exec(context.WithoutCancel(ofFlush))
			}
			return nil
		})
		_, err := s.AuditLogged.FlushMany(ctx(t))
		require.NoError(t, err)
		assert.Equal(t, []int{1, 2}, s.orders.Keys())
		assert.Zero(t, s.pending(t, "OrderPlaced"))
	})
}
