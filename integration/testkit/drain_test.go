package testkit

import (
	"context"
	"io"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/entsignal/entsignaltest"
	"github.com/entsignal/signalbus/integration/internal/testdb"
	retryent "github.com/entsignal/signalbus/integration/retry/ent"
	"github.com/entsignal/signalbus/integration/shop/ent"
)

func TestDrainSendsAllThatIsPendingAndOrderedTypesInOrder(t *testing.T) {
	testdb.On(t, kinds, func(t *testing.T, db *testdb.DB) {
		s := open(t, db)
		for n := range 20 {
			s.AuditLogged.Create().SetNumber(n).ExecX(ctx(t))
			s.ShipmentDue.Create().SetCustomer(string(rune('a' + n%2))).SetNumber(n).ExecX(ctx(t))
		}
		s.bus.SetAutoFlush(false)
		s.order(t, 1)
		require.NoError(t, s.outbox.Drain(ctx(t)))
		assert.Len(t, entsignaltest.Sent[*ent.AuditLogged](s.outbox), 20)
		assert.Len(t, entsignaltest.Sent[*ent.OrderPlaced](s.outbox), 1)
		var places []string
		for _, due := range entsignaltest.Sent[*ent.ShipmentDue](s.outbox) {
			places = append(places, due.Customer+string(rune('a'+due.Number)))
		}
		assert.Equal(t, []string{
			"as", "aq", "ao", "am", "ak", "ai", "ag", "ae", "ac", "aa",
			"bt", "br", "bp", "bn", "bl", "bj", "bh", "bf", "bd", "bb",
		}, places)
		for _, b := range entsignaltest.Batches[*ent.ShipmentDue](s.outbox) {
			assert.Equal(t, entsignal.ModeFlushOrdered, b.Mode)
		}
		require.NoError(t, s.outbox.Drain(ctx(t)), "nothing is left")
	})
}

func TestDrainSendsWhatSendersRecordMeanwhile(t *testing.T) {
	testdb.On(t, kinds, func(t *testing.T, db *testdb.DB) {
		s := open(t, db)
		entsignaltest.Intercept(s.outbox, func(ctx context.Context, orders []*ent.OrderPlaced) error {
			for _, o := range orders {
				if err := s.AuditLogged.Create().SetNumber(o.Number).Exec(ctx); err != nil {
					return err
				}
			}
			return nil
		})
		s.bus.SetAutoFlush(false)
		s.order(t, 1, 2)
		require.NoError(t, s.outbox.Drain(ctx(t)))
		assert.Len(t, entsignaltest.Sent[*ent.AuditLogged](s.outbox), 2)
	})
}

func TestDrainWaitsForWhatAnAutoflushHolds(t *testing.T) {
	testdb.On(t, kinds, func(t *testing.T, db *testdb.DB) {
		s := open(t, db, entsignal.WithAsync(10))
		release := entsignaltest.Hang[*ent.OrderPlaced](s.outbox)
		s.order(t, 1)
		entsignaltest.EventuallyStruck[*ent.OrderPlaced](s.outbox, 1)
		drained := make(chan error, 1)
		go func() { drained <- s.outbox.Drain(ctx(t)) }()
		release()
		require.NoError(t, <-drained)
		entsignaltest.One[*ent.OrderPlaced](s.outbox)
	})
}

// SQLite has one writer at a time, so there nobody can hold a row.
func TestDrainEndsWithItsContextWhileOthersHoldTheRows(t *testing.T) {
	testdb.On(t, []testdb.Kind{testdb.PostgreSQL}, func(t *testing.T, db *testdb.DB) {
		s := open(t, db)
		s.bus.SetAutoFlush(false)
		s.order(t, 1)
		tx, err := s.Tx(ctx(t))
		require.NoError(t, err)
		defer func() { _ = tx.Rollback() }()
		_, err = tx.OrderPlaced.Lock(ctx(t), 1)
		require.NoError(t, err)
		c, cancel := context.WithCancel(ctx(t))
		drained := make(chan error, 1)
		go func() { drained <- s.outbox.Drain(c) }()
		cancel()
		err = <-drained
		require.ErrorIs(t, err, context.Canceled)
		entsignaltest.None[*ent.OrderPlaced](s.outbox)
	})
}

func TestDrainReturnsTheErrorOfAFlush(t *testing.T) {
	testdb.On(t, kinds, func(t *testing.T, db *testdb.DB) {
		s := open(t, db)
		s.bus.SetAutoFlush(false)
		s.order(t, 1, 2, 3)
		s.AuditLogged.Create().SetNumber(1).ExecX(ctx(t))
		entsignaltest.FailWhere(s.outbox, failOn(2))
		require.ErrorIs(t, s.outbox.Drain(ctx(t)), errRefused)
		assert.Equal(t, []int{1, 3}, numbers(entsignaltest.Sent[*ent.OrderPlaced](s.outbox)))
		entsignaltest.One[*ent.AuditLogged](s.outbox)
	})
}

func TestDrainNamesWhatHasFailedAndIsNotDue(t *testing.T) {
	testdb.On(t, kinds, func(t *testing.T, db *testdb.DB) {
		senders, outbox := entsignaltest.Senders[retryent.SignalSenders](t)
		bus, err := retryent.NewSignalBus(senders, outbox.Option())
		require.NoError(t, err)
		client := retryent.NewClient(retryent.Driver(db.Driver(t)), retryent.WithSignalBus(bus))
		retryTables(t, db, client)
		fault := entsignaltest.FailWhere(outbox, func(job *retryent.JobQueued) error {
			if job.Number == 2 {
				return entsignal.Permanent(errRefused)
			}
			return errRefused
		})
		for n := range 3 {
			client.JobQueued.Create().SetNumber(n).ExecX(ctx(t))
		}
		require.ErrorIs(t, outbox.Drain(ctx(t)), errRefused)
		require.EqualError(t, outbox.Drain(ctx(t)), "entsignaltest: drain: still pending: JobQueued 3, of which 2 failed and wait for their next attempt, of which 1 are dead; Bus.RetryAll makes them due")
		assert.Equal(t, 3, fault.Struck())
		fault.Stop()
		_, err = bus.RetryAll(ctx(t), "JobQueued")
		require.NoError(t, err)
		require.NoError(t, outbox.Drain(ctx(t)))
		assert.Len(t, entsignaltest.Sent[*retryent.JobQueued](outbox), 3)
	})
}

// retryTables creates the tables of the other project.
func retryTables(t *testing.T, db *testdb.DB, client *retryent.Client) {
	t.Helper()
	db.CreateTablesOf(t, "retry", func(w io.Writer) error { return client.Schema.WriteTo(ctx(t), w) })
}
