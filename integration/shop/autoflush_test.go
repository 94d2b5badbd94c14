package shop_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/entsignal/entsignaltest"
	"github.com/entsignal/signalbus/integration/internal/testdb"
	"github.com/entsignal/signalbus/integration/shop/ent"
)

func TestCommitSendsEachTypeAsOneBatch(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		s := open(t, db)
		s.inTx(t, func(tx *ent.Tx) {
			tx.OrderPlaced.Create().SetNumber(1).SaveX(ctx(t))
			tx.UserJoined.Create().SetNumber(2).SaveX(ctx(t))
			tx.OrderPlaced.Create().SetNumber(3).SaveX(ctx(t))
			assert.Empty(t, s.orders.Batches(), "sent before the commit")
		})
		require.Len(t, s.orders.Batches(), 1)
		batch := s.orders.Batches()[0]
		assert.Equal(t, []int{1, 3}, s.orders.Keys())
		assert.Equal(t, entsignal.ModeAutoFlush, batch.Mode)
		assert.Equal(t, "OrderPlaced", batch.Signal.Name)
		assert.Len(t, batch.Items, 2)
		assert.Equal(t, []int{2}, s.users.Keys())
		assert.Zero(t, s.pending(t, "OrderPlaced"))
		assert.Zero(t, s.pending(t, "UserJoined"))
		assert.Empty(t, s.errors.all())
	})
}

func TestRollbackSendsNothing(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		s := open(t, db)
		tx, err := s.Tx(ctx(t))
		require.NoError(t, err)
		tx.OrderPlaced.Create().SetNumber(1).SaveX(ctx(t))
		require.NoError(t, tx.Rollback())
		n, err := s.bus.Flush(ctx(t), entsignal.Wait(0))
		require.NoError(t, err)
		assert.Zero(t, n)
		assert.Empty(t, s.orders.Keys())
	})
}

func TestPartlySentBatchLosesOnlyWhatWasSent(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		s := open(t, db)
		entsignaltest.FailWhere(s.outbox, func(o *ent.OrderPlaced) error {
			if o.Number%2 == 0 {
				return fmt.Errorf("number %d is even", o.Number)
			}
			return nil
		})
		s.inTx(t, func(tx *ent.Tx) {
			for i := range 5 {
				tx.OrderPlaced.Create().SetNumber(i + 1).SaveX(ctx(t))
			}
		})
		assert.Equal(t, []int{1, 3, 5}, s.orders.Keys())
		left := s.OrderPlaced.Query().AllX(ctx(t))
		require.Len(t, left, 2)
		errs := s.errors.all()
		require.Len(t, errs, 1)
		assert.ErrorContains(t, errs[0], fmt.Sprintf("2 of 5 not sent: id %d: number 2 is even", left[0].ID))
	})
}

func TestCancelledContextOfTheTransactionDoesNotStopTheAutoflush(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		s := open(t, db)
		c, cancel := context.WithCancel(ctx(t))
		tx, err := s.Tx(c)
		require.NoError(t, err)
		tx.OnCommit(func(next ent.Committer) ent.Committer {
			return ent.CommitFunc(func(ctx context.Context, tx *ent.Tx) error {
				err := next.Commit(ctx, tx)
				return err
			})
		})
		tx.OrderPlaced.Create().SetNumber(1).SaveX(c)
		tx.OnCommit(func(next ent.Committer) ent.Committer {
			return ent.CommitFunc(func(ctx context.Context, tx *ent.Tx) error {
				defer cancel() // after the commit, before the autoflush
				return next.Commit(ctx, tx)
			})
		})
		require.NoError(t, tx.Commit())
		assert.Equal(t, []int{1}, s.orders.Keys())
	})
}

func TestLargeCommitIsSentInBatchesOf500(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		s := open(t, db)
		s.inTx(t, func(tx *ent.Tx) {
			for from := 0; from < 1200; from += 400 {
				tx.OrderPlaced.MapCreateBulk(make([]struct{}, 400), func(c *ent.OrderPlacedCreate, i int) {
					c.SetNumber(from + i + 1)
				}).ExecX(ctx(t))
			}
		})
		var sizes []int
		for _, b := range s.orders.Batches() {
			sizes = append(sizes, len(b.Signals))
		}
		assert.Equal(t, []int{500, 500, 200}, sizes)
		assert.Equal(t, numbers(1200), s.orders.Keys())
	})
}

func TestBulkOutsideATransactionIsFlushedOnce(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		s := open(t, db)
		s.OrderPlaced.MapCreateBulk(make([]struct{}, 300), func(c *ent.OrderPlacedCreate, i int) {
			c.SetNumber(i + 1)
		}).ExecX(ctx(t))
		require.Len(t, s.orders.Batches(), 1)
		assert.Equal(t, numbers(300), s.orders.Keys())
	})
}

func TestSwitchIsReadAtTheCommit(t *testing.T) {
	t.Parallel()
	testdb.On(t, []testdb.Kind{testdb.SQLite}, func(t *testing.T, db *testdb.DB) {
		s := open(t, db)
		require.True(t, s.bus.AutoFlush())
		tx, err := s.Tx(ctx(t))
		require.NoError(t, err)
		tx.OrderPlaced.Create().SetNumber(1).SaveX(ctx(t))
		s.bus.SetAutoFlush(false)
		require.NoError(t, tx.Commit())
		assert.Empty(t, s.orders.Keys())

		s.bus.SetAutoFlush(true)
		s.inTx(t, func(tx *ent.Tx) { tx.OrderPlaced.Create().SetNumber(2).SaveX(ctx(t)) })
		assert.Equal(t, []int{2}, s.orders.Keys(), "what was committed while it was off stays pending")
		assert.Equal(t, 1, s.pending(t, "OrderPlaced"))
	})
}

func TestSenderSeesChildrenAndTheyAreDeletedWithTheSignal(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		s := open(t, db)
		var lines []string
		s.invoices.Before(func(_ context.Context, signals []*ent.InvoiceIssued) error {
			for _, signal := range signals {
				for _, line := range signal.Edges.Lines {
					lines = append(lines, line.Text)
				}
			}
			return nil
		})
		s.inTx(t, func(tx *ent.Tx) {
			invoice := tx.InvoiceIssued.Create().SetNumber(1).SaveX(ctx(t))
			tx.InvoiceLine.Create().SetText("pen").SetInvoice(invoice).SaveX(ctx(t))
			tx.InvoiceLine.Create().SetText("ink").SetInvoice(invoice).SaveX(ctx(t))
		})
		slices.Sort(lines)
		assert.Equal(t, []string{"ink", "pen"}, lines)
		assert.Zero(t, s.InvoiceIssued.Query().CountX(ctx(t)))
		assert.Zero(t, s.InvoiceLine.Query().CountX(ctx(t)))
	})
}

func TestWithLoadsEdgesForTheSender(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		s := newShop(t)
		var customers []string
		s.senders.ShipmentDueWith = func(q *ent.ShipmentDueQuery) { q.WithOrder() }
		s.shipments.Before(func(_ context.Context, signals []*ent.ShipmentDue) error {
			for _, signal := range signals {
				customers = append(customers, signal.Edges.Order.Customer)
			}
			return nil
		})
		s.open(t, db)
		s.createTables(t)
		order := s.Order.Create().SetCustomer("Ada").SaveX(ctx(t))
		s.ShipmentDue.Create().SetCustomer("x").SetNumber(1).SetOrder(order).SaveX(ctx(t))
		n, err := s.ShipmentDue.FlushOrdered(ctx(t))
		require.NoError(t, err)
		assert.Equal(t, 1, n)
		assert.Equal(t, []string{"Ada"}, customers)
		assert.Equal(t, 1, s.Order.Query().CountX(ctx(t)))
	})
}

func TestPanicOutsideTheSenderIsAnErrorToo(t *testing.T) {
	t.Parallel()
	testdb.On(t, []testdb.Kind{testdb.PostgreSQL, testdb.SQLite}, func(t *testing.T, db *testdb.DB) {
		s := newShop(t)
		s.senders.OrderPlacedWith = func(*ent.OrderPlacedQuery) { panic("boom") }
		s.open(t, db)
		s.createTables(t)
		s.inTx(t, func(tx *ent.Tx) { order(tx.OrderPlaced, 1).SaveX(ctx(t)) })
		errs := s.errors.all()
		require.Len(t, errs, 1)
		assert.ErrorContains(t, errs[0], "boom")
		assert.Equal(t, 1, s.pending(t, "OrderPlaced"))
	})
}

func TestTypeThatHangsLeavesTimeForTheOthers(t *testing.T) {
	t.Parallel()
	testdb.On(t, []testdb.Kind{testdb.PostgreSQL, testdb.SQLite}, func(t *testing.T, db *testdb.DB) {
		s := newShop(t)
		s.orders.Before(func(ctx context.Context, _ []*ent.OrderPlaced) error { <-ctx.Done(); return ctx.Err() })
		s.open(t, db, entsignal.WithFlushTimeout(5*time.Second))
		s.createTables(t)
		s.inTx(t, func(tx *ent.Tx) {
			order(tx.OrderPlaced, 1).SaveX(ctx(t))
			tx.UserJoined.Create().SetNumber(2).SaveX(ctx(t))
		})
		assert.Equal(t, []int{2}, s.users.Keys())
	})
}

func TestSQLiteWriterThatOutlastsTheFlushRepeatsNothing(t *testing.T) {
	t.Parallel()
	db := sqlite(t)
	s := open(t, db)
	peer := newShop(t)
	peer.open(t, db, entsignal.WithFlushTimeout(3*time.Second))
	s.audit(t, 2)
	writer, err := db.Open(t).Begin()
	require.NoError(t, err)
	_, err = writer.Exec("DELETE FROM orders")
	require.NoError(t, err)
	n, err := peer.AuditLogged.FlushMany(ctx(t), entsignal.Burst(2))
	require.Error(t, err)
	assert.Zero(t, n)
	require.NoError(t, writer.Rollback())
	_, err = peer.AuditLogged.FlushMany(ctx(t), entsignal.Burst(2))
	require.NoError(t, err)
	assert.Equal(t, numbers(2), peer.audits.Keys(), "sent again")
	assert.Zero(t, s.pending(t, "AuditLogged"))
}

// Only the process that has sent the messages knows that they are sent.
func TestSQLiteWriterThatOutlastsTheFlushOfOneProcessRepeatsNothingInAnother(t *testing.T) {
	t.Parallel()
	db := sqlite(t)
	s := open(t, db, entsignal.WithFlushTimeout(8*time.Second)) // longer than a statement waits for the writer
	peer := newShop(t)
	peer.open(t, db, entsignal.WithFlushTimeout(time.Second))
	s.audit(t, 2)
	writer, err := db.Open(t).Begin()
	require.NoError(t, err)
	_, err = writer.Exec("DELETE FROM orders")
	require.NoError(t, err)
	_, err = peer.AuditLogged.FlushMany(ctx(t), entsignal.Burst(2))
	require.Error(t, err)
	_, err = s.AuditLogged.FlushMany(ctx(t), entsignal.Burst(2))
	require.Error(t, err)
	assert.Empty(t, s.audits.Keys(), "sent again")
	ended, cancel := context.WithCancel(ctx(t))
	cancel()
	require.ErrorIs(t, peer.bus.Close(ended), context.Canceled, "it has still to delete them")

	require.NoError(t, writer.Rollback())
	require.NoError(t, peer.bus.Close(ctx(t)))
	assert.Zero(t, s.pending(t, "AuditLogged"))
	n, err := s.AuditLogged.FlushMany(ctx(t), entsignal.Burst(2))
	require.NoError(t, err)
	assert.Zero(t, n)
	assert.Equal(t, numbers(2), peer.audits.Keys())
	assert.Empty(t, s.audits.Keys())
}

func TestRowsThatATriggerKeepsAreNotSentForEver(t *testing.T) {
	t.Parallel()
	testdb.On(t, []testdb.Kind{testdb.PostgreSQL, testdb.SQLite}, func(t *testing.T, db *testdb.DB) {
		s := open(t, db)
		trigger := "CREATE TRIGGER keep BEFORE DELETE ON audit_loggeds BEGIN SELECT RAISE(IGNORE); END"
		if !isSQLite(db) {
			trigger = "CREATE RULE keep AS ON DELETE TO audit_loggeds DO INSTEAD NOTHING"
		}
		_, err := db.Open(t).Exec(trigger)
		require.NoError(t, err)
		s.audit(t, 1)
		for range 3 {
			_, err = s.AuditLogged.FlushMany(ctx(t))
			require.Error(t, err)
		}
		assert.LessOrEqual(t, len(s.audits.Keys()), 1)
	})
}
