package shop_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/integration/internal/testdb"
	"github.com/entsignal/signalbus/integration/shop/ent"
)

// ship records pending shipments of the customers, in this order, with the
// numbers 1, 2, ….
func (s *shop) ship(t testing.TB, customers ...string) {
	t.Helper()
	for i, customer := range customers {
		s.ShipmentDue.Create().SetCustomer(customer).SetNumber(i + 1).ExecX(ctx(t))
	}
}

func TestOrderedFlushKeepsTheOrderOfTheSchema(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		s := open(t, db)
		s.ship(t, "b", "a", "c", "b", "a", "a", "c")
		n, err := s.bus.FlushOrdered(ctx(t), entsignal.Only("ShipmentDue"))
		require.NoError(t, err)
		assert.Equal(t, 7, n)
		assert.Equal(t, []int{6, 5, 2, 4, 1, 7, 3}, s.shipments.Keys(), "by customer, then the highest number first")
		assert.Len(t, s.shipments.Batches(), 3)
	})
}

func TestOrderedFlushStopsATypeAtItsFirstFailure(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		s := open(t, db)
		s.ship(t, "a", "b", "c", "d", "e", "f", "g")
		s.audit(t, 2)
		bad := errors.New("bad")
		s.shipments.Before(func(_ context.Context, signals []*ent.ShipmentDue) error {
			if signals[0].Customer == "d" {
				return bad
			}
			return nil
		})
		n, err := s.bus.FlushOrdered(ctx(t))
		require.ErrorIs(t, err, bad)
		assert.Equal(t, 5, n)
		assert.Equal(t, []int{1, 2, 3}, s.shipments.Keys())
		assert.Equal(t, numbers(2), s.audits.Keys(), "the other type isn't kept")
	})
}

func TestOrderedFlushSendsWhatIsBeforeTheBadSignalOfABatch(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		s := open(t, db)
		s.ship(t, "a", "b", "c", "d", "e", "f", "g", "h")
		bad := errors.New("bad")
		var tried []string
		s.shipments.Before(func(_ context.Context, signals []*ent.ShipmentDue) error {
			for _, signal := range signals {
				tried = append(tried, signal.Customer)
			}
			if slices.ContainsFunc(signals, func(s *ent.ShipmentDue) bool { return s.Customer == "d" }) {
				return bad
			}
			return nil
		})
		n, err := s.ShipmentDue.FlushOrdered(ctx(t), entsignal.Burst(6))
		require.ErrorIs(t, err, bad)
		assert.ErrorContains(t, err, "id 4: bad; id 5: not tried")
		assert.Equal(t, 3, n)
		assert.Equal(t, []int{1, 2, 3}, s.shipments.Keys())
		assert.Equal(t, "abcdef abc def d", strings.Join([]string{
			strings.Join(tried[:6], ""), strings.Join(tried[6:9], ""), strings.Join(tried[9:12], ""), strings.Join(tried[12:], ""),
		}, " "), "the halves from the head, and nothing behind the bad one again")
		assert.Equal(t, 5, s.pending(t, "ShipmentDue"))
	})
}

func TestOrderedFlushWithEachSendsNothingBehindAFailure(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		s := newShop(t)
		var sent []string
		bad := errors.New("bad")
		s.senders.ShipmentDue = entsignal.Each(func(ctx context.Context, signal *ent.ShipmentDue) error {
			batch, ok := entsignal.BatchFromContext(ctx)
			assert.True(t, ok)
			assert.Len(t, batch.Items, 1)
			if signal.Customer == "e" {
				return bad
			}
			sent = append(sent, signal.Customer)
			return nil
		})
		s.open(t, db)
		s.createTables(t)
		s.ship(t, "a", "b", "c", "d", "e", "f")
		n, err := s.ShipmentDue.FlushOrdered(ctx(t))
		require.ErrorIs(t, err, bad)
		assert.Equal(t, 4, n)
		assert.Equal(t, []string{"a", "b", "c", "d"}, sent)
		assert.Equal(t, 2, s.pending(t, "ShipmentDue"))
	})
}

func TestOneOrderedFlushRunsAtATime(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		s := open(t, db)
		s.ship(t, "a", "b", "c", "d")
		holding, goOn := make(chan struct{}), make(chan struct{})
		s.shipments.Before(func(_ context.Context, signals []*ent.ShipmentDue) error {
			if signals[0].Customer == "a" {
				close(holding)
				<-goOn
			}
			return nil
		})
		first := make(chan error, 1)
		go func() {
			_, err := s.ShipmentDue.FlushOrdered(context.Background())
			first <- err
		}()
		<-holding

		peer := s.peer(t)
		_, err := peer.ShipmentDue.FlushOrdered(ctx(t), entsignal.Wait(time.Millisecond))
		require.ErrorIs(t, err, entsignal.ErrBusy)
		err = lateEnough(t, func(ending context.Context) error {
			_, err := peer.ShipmentDue.FlushOrdered(ending)
			return err
		}, func(err error) bool { return errors.Is(err, entsignal.ErrBusy) })
		require.ErrorIs(t, err, entsignal.ErrBusy)
		if !isSQLite(db) { // where all flushes take turns
			n, err := peer.AuditLogged.FlushOrdered(ctx(t), entsignal.Wait(0))
			require.NoError(t, err, "another type is free")
			assert.Zero(t, n)
		}

		second := make(chan error, 1)
		go func() {
			_, err := peer.ShipmentDue.FlushOrdered(context.Background())
			second <- err
		}()
		close(goOn)
		require.NoError(t, <-first)
		require.NoError(t, <-second)
		assert.Zero(t, s.pending(t, "ShipmentDue"))
		n, err := peer.ShipmentDue.FlushOrdered(ctx(t), entsignal.Wait(0))
		require.NoError(t, err, "the turn was given back")
		assert.Zero(t, n)
	})
}

func TestOrderedFlushWaitsForRowsThatAreHeld(t *testing.T) {
	t.Parallel()
	testdb.On(t, []testdb.Kind{testdb.PostgreSQL, testdb.MariaDB}, func(t *testing.T, db *testdb.DB) {
		s := open(t, db)
		s.ship(t, "a", "b", "c")
		tx, err := db.Open(t).Begin()
		require.NoError(t, err)
		rows, err := tx.Query("SELECT shipment_id FROM outgoing_shipments WHERE for_whom = 'a' FOR UPDATE")
		require.NoError(t, err)
		require.NoError(t, rows.Close())
		done := make(chan error, 1)
		go func() {
			_, err := s.ShipmentDue.FlushOrdered(context.Background())
			done <- err
		}()
		select {
		case err := <-done:
			t.Fatalf("it passed a row that is held: %v, error %v", s.shipments.Keys(), err)
		case <-time.After(200 * time.Millisecond):
		}
		require.NoError(t, tx.Rollback())
		require.NoError(t, <-done)
		assert.Equal(t, []int{1, 2, 3}, s.shipments.Keys())
	})
}

// PostgreSQL would give a row that is changed while it is waited for in the place
// that it had before.
func TestOrderedFlushSendsARowThatChangesWhereItBelongs(t *testing.T) {
	t.Parallel()
	testdb.On(t, []testdb.Kind{testdb.PostgreSQL, testdb.PGX, testdb.MariaDB}, func(t *testing.T, db *testdb.DB) {
		for _, tc := range []struct {
			change string
			want   []int
		}{
			{"UPDATE outgoing_shipments SET for_whom = 'd2' WHERE for_whom = 'a'", []int{2, 3, 4, 1, 5}}, // out of the batch
			{"UPDATE outgoing_shipments SET for_whom = 'b2' WHERE for_whom = 'a'", []int{2, 1, 3, 4, 5}}, // within it
			{"UPDATE outgoing_shipments SET for_whom = '0' WHERE for_whom = 'b'", []int{2, 1, 3, 4, 5}},
			{"DELETE FROM outgoing_shipments WHERE for_whom = 'b'", []int{1, 3, 4, 5}},
		} {
			s := open(t, testdb.New(t, db.Kind))
			s.ship(t, "a", "b", "c", "d", "e")
			tx := begin(t, s.db)
			run(t, tx, tc.change)
			done := make(chan error, 1)
			go func() {
				_, err := s.ShipmentDue.FlushOrdered(context.Background())
				done <- err
			}()
			select {
			case err := <-done:
				t.Fatalf("it passed a row that is held: %v, error %v", s.shipments.Keys(), err)
			case <-time.After(200 * time.Millisecond):
			}
			require.NoError(t, tx.Commit())
			require.NoError(t, <-done)
			assert.Equal(t, tc.want, s.shipments.Keys(), tc.change)
		}
	})
}

func TestOrderedFlushEndsUnderLoad(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		s := open(t, db)
		s.audit(t, 5)
		next := 5
		s.audits.Before(func(ctx context.Context, _ []*ent.AuditLogged) error {
			next++
			return s.AuditLogged.Create().SetNumber(next).Exec(ctx)
		})
		n, err := s.AuditLogged.FlushOrdered(ctx(t))
		require.NoError(t, err)
		assert.Equal(t, 5, n)
		assert.Equal(t, numbers(5), s.audits.Keys())
	})
}

func TestOrderedFlushThatHadItsTurnIsNotBusyLater(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		s := open(t, db)
		const rows = 100
		s.audit(t, rows)
		peer := s.peer(t)
		type result struct {
			n   int
			err error
		}
		results := make(chan result, 2)
		started := make(chan struct{})
		s.audits.Before(func(_ context.Context, signals []*ent.AuditLogged) error {
			if signals[0].Number == 1 {
				close(started)
			}
			return nil
		})
		go func() {
			n, err := s.AuditLogged.FlushOrdered(context.Background(), entsignal.Wait(0))
			results <- result{n, err}
		}()
		<-started
		go func() {
			n, err := peer.AuditLogged.FlushOrdered(context.Background())
			results <- result{n, err}
		}()
		total := 0
		for range 2 {
			r := <-results
			require.NoError(t, r.err)
			total += r.n
		}
		assert.Equal(t, rows, total)
	})
}

func TestSenderWhoseOwnFlushIsBusyFailsLikeAnyOther(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		s := open(t, db)
		s.audit(t, 1)
		var calls atomic.Int32
		s.audits.Before(func(context.Context, []*ent.AuditLogged) error {
			calls.Add(1)
			return fmt.Errorf("pass on: %w", entsignal.ErrBusy) // of another bus
		})
		_, err := s.AuditLogged.FlushOrdered(ctx(t), entsignal.Wait(200*time.Millisecond))
		require.ErrorContains(t, err, "pass on")
		assert.EqualValues(t, 1, calls.Load())
	})
}
