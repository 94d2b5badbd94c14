package shop_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/integration/internal/testdb"
	"github.com/entsignal/signalbus/integration/shop/ent"
)

// overNetwork are the databases whose answers can get lost.
var overNetwork = []testdb.Kind{testdb.PostgreSQL, testdb.PGX, testdb.MariaDB}

// Whether it was committed is unknown, so nothing is sent by the commit; what
// was committed is there for a flush.
func TestCommitWhoseAnswerIsLostSendsNothingAndAFlushFindsItsSignals(t *testing.T) {
	t.Parallel()
	testdb.On(t, overNetwork, func(t *testing.T, db *testdb.DB) {
		direct := open(t, db)
		behind, proxy := db.Through(t)
		s := newShop(t)
		s.open(t, behind)
		commit := func(number int, meanwhile func(tx *ent.Tx)) {
			tx, err := s.Tx(ctx(t))
			require.NoError(t, err)
			order(tx.OrderPlaced, number).SaveX(ctx(t))
			meanwhile(tx)
		}
		commit(1, func(tx *ent.Tx) { // it doesn't arrive
			proxy.Cut()
			require.Error(t, tx.Commit())
		})
		commit(2, func(tx *ent.Tx) { // its answer doesn't
			cut := proxy.Fade(false, true)
			failed := make(chan error, 1)
			go func() { failed <- tx.Commit() }()
			require.Eventually(t, func() bool { return direct.OrderPlaced.Query().CountX(ctx(t)) == 1 }, 2*time.Minute, time.Millisecond)
			cut()
			require.Error(t, <-failed)
		})
		assert.Empty(t, s.orders.Keys())
		assert.Empty(t, s.errors.all())
		n, err := direct.bus.Flush(ctx(t), entsignal.Wait(0))
		require.NoError(t, err)
		assert.Equal(t, 1, n)
		assert.Equal(t, []int{2}, direct.orders.Keys())
	})
}

func TestDeletionWhoseAnswerIsLostIsAnErrorAndRepeatsNothing(t *testing.T) {
	t.Parallel()
	testdb.On(t, overNetwork, func(t *testing.T, db *testdb.DB) {
		direct := open(t, db)
		direct.audit(t, 1)
		behind, proxy := db.Through(t)
		s := newShop(t)
		s.open(t, behind)
		cut := make(chan func() int, 1)
		s.audits.Before(func(context.Context, []*ent.AuditLogged) error {
			cut <- proxy.Fade(false, true)
			return nil
		})
		failed := make(chan error, 1)
		go func() {
			_, err := s.AuditLogged.FlushMany(context.Background())
			failed <- err
		}()
		end := <-cut
		require.Eventually(t, func() bool { return direct.AuditLogged.Query().CountX(ctx(t)) == 0 }, 2*time.Minute, time.Millisecond)
		end()
		require.ErrorContains(t, <-failed, "sent, but the deletion failed")
		n, err := direct.AuditLogged.FlushMany(ctx(t))
		require.NoError(t, err)
		assert.Zero(t, n, "the error was wrong, as it may be")
		assert.Equal(t, []int{1}, s.audits.Keys())
	})
}
