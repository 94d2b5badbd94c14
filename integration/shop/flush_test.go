package shop_test

import (
	"context"
	"database/sql"
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
	"github.com/entsignal/signalbus/internal/testlog"
)

// flushes are the three flushes of one type.
var flushes = map[string]func(s *shop, ctx context.Context, opts ...entsignal.FlushOption) (int, error){
	"flush": func(s *shop, ctx context.Context, opts ...entsignal.FlushOption) (int, error) {
		return s.bus.Flush(ctx, append(opts, entsignal.Only("AuditLogged"), entsignal.Wait(0))...)
	},
	"flushmany": func(s *shop, ctx context.Context, opts ...entsignal.FlushOption) (int, error) {
		return s.bus.FlushMany(ctx, append(opts, entsignal.Only("AuditLogged"))...)
	},
	"flushordered": func(s *shop, ctx context.Context, opts ...entsignal.FlushOption) (int, error) {
		return s.bus.FlushOrdered(ctx, append(opts, entsignal.Only("AuditLogged"))...)
	},
}

func TestFlushesSendWhatIsPending(t *testing.T) {
	t.Parallel()
	for name, flush := range flushes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testdb.Each(t, func(t *testing.T, db *testdb.DB) {
				s := open(t, db)
				s.audit(t, 25)
				n, err := flush(s, ctx(t), entsignal.Burst(10))
				require.NoError(t, err)
				assert.Equal(t, 25, n)
				assert.Equal(t, numbers(25), s.audits.Keys())
				var sizes []int
				for _, b := range s.audits.Batches() {
					sizes = append(sizes, len(b.Signals))
					assert.Equal(t, name, b.Mode.String())
				}
				assert.Equal(t, []int{10, 10, 5}, sizes)
				n, err = flush(s, ctx(t))
				require.NoError(t, err)
				assert.Zero(t, n)
			})
		})
	}
}

func TestBurstCountOfTheSignalAndOfTheBus(t *testing.T) {
	t.Parallel()
	testdb.On(t, []testdb.Kind{testdb.SQLite}, func(t *testing.T, db *testdb.DB) {
		s := open(t, db, entsignal.WithBurstCount(4))
		s.audit(t, 5)
		for range 5 {
			s.ShipmentDue.Create().SetCustomer("x").SetNumber(1).ExecX(ctx(t))
		}
		_, err := s.bus.FlushMany(ctx(t))
		require.NoError(t, err)
		assert.Len(t, s.audits.Batches(), 2, "the bus's default of 4")
		assert.Len(t, s.shipments.Batches(), 2, "the schema's 3")
	})
}

func TestEveryFieldTypeArrivesAsItWasStored(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		s := open(t, db)
		until := time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC)
		s.bus.SetAutoFlush(false)
		stored := s.Measured.Create().SetLabels(map[string]string{"a": "b"}).SetTags([]string{"x"}).SetUntil(until).
			SetLevel("high").SetRaw([]byte{0, 1, 255}).SetFlag(true).SetCents(125).SetNote("ü").SaveX(ctx(t))
		s.Measured.Create().SaveX(ctx(t))
		want := s.Measured.Query().AllX(ctx(t))
		var got []*ent.Measured
		s.measured.Before(func(_ context.Context, signals []*ent.Measured) error {
			got = append(got, signals...)
			return nil
		})
		n, err := s.Measured.FlushMany(ctx(t), entsignal.Burst(10))
		require.NoError(t, err)
		require.Equal(t, 2, n)
		require.Equal(t, stored.ID, got[0].ID)
		for i := range got {
			assert.Equal(t, want[i].String(), got[i].String())
		}
		assert.Equal(t, []byte{0, 1, 255}, got[0].Raw)
		assert.Equal(t, map[string]string{"a": "b"}, got[0].Labels)
	})
}

func TestBadSignalStaysAndTheOthersLeave(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"flush", "flushmany"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testdb.Each(t, func(t *testing.T, db *testdb.DB) {
				s := open(t, db)
				s.audit(t, 9)
				bad := errors.New("bad")
				s.audits.Before(func(_ context.Context, signals []*ent.AuditLogged) error {
					if slices.ContainsFunc(signals, func(a *ent.AuditLogged) bool { return a.Number == 4 }) {
						return bad
					}
					return nil
				})
				n, err := flushes[name](s, ctx(t), entsignal.Burst(3))
				require.ErrorIs(t, err, bad)
				assert.ErrorContains(t, err, "1 of 3 not sent: id 4: bad")
				assert.Equal(t, 8, n)
				assert.Equal(t, []int{1, 2, 3, 5, 6, 7, 8, 9}, s.audits.Keys())
				assert.Equal(t, 1, s.pending(t, "AuditLogged"))
			})
		})
	}
}

func TestBatchOfAnAutoflushAndOfSendIsTakenApartToo(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		s := open(t, db)
		bad := errors.New("bad")
		s.orders.Before(func(_ context.Context, signals []*ent.OrderPlaced) error {
			if slices.ContainsFunc(signals, func(o *ent.OrderPlaced) bool { return o.Number == 3 }) {
				return bad
			}
			return nil
		})
		s.inTx(t, func(tx *ent.Tx) {
			for i := range 7 {
				order(tx.OrderPlaced, i+1).ExecX(ctx(t))
			}
		})
		errs := s.errors.all()
		require.Len(t, errs, 1)
		require.ErrorIs(t, errs[0], bad)
		assert.ElementsMatch(t, []int{1, 2, 4, 5, 6, 7}, s.orders.Keys())
		assert.Equal(t, 1, s.pending(t, "OrderPlaced"))

		s.audits.Before(func(_ context.Context, signals []*ent.AuditLogged) error {
			if slices.ContainsFunc(signals, func(a *ent.AuditLogged) bool { return a.Number == 5 }) {
				panic(bad)
			}
			return nil
		})
		s.audit(t, 7)
		n, err := s.AuditLogged.Send(ctx(t), s.AuditLogged.Query().AllX(ctx(t))...)
		require.ErrorIs(t, err, bad)
		assert.Equal(t, 6, n)
		assert.ElementsMatch(t, []int{1, 2, 3, 4, 6, 7}, s.audits.Keys())
		assert.Equal(t, 1, s.pending(t, "AuditLogged"))
	})
}

func TestSenderThatSendsNothingOrABrokerThatIsAwayEndsAType(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"flush", "flushmany"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testdb.On(t, []testdb.Kind{testdb.PostgreSQL, testdb.SQLite}, func(t *testing.T, db *testdb.DB) {
				s := open(t, db)
				s.audit(t, 20)
				s.bus.SetAutoFlush(false)
				order(s.OrderPlaced, 1).ExecX(ctx(t))
				s.bus.SetAutoFlush(true)
				var calls atomic.Int32
				down := errors.New("down")
				s.audits.Before(func(context.Context, []*ent.AuditLogged) error { calls.Add(1); return down })
				_, err := flushes[name](s, ctx(t), entsignal.Burst(2))
				require.ErrorIs(t, err, down)
				assert.Less(t, calls.Swap(0), int32(50), "few signals are left after three batches: each is tried alone")

				s.audits.Before(func(context.Context, []*ent.AuditLogged) error { calls.Add(1); return entsignal.Unavailable(down) })
				_, err = flushes[name](s, ctx(t), entsignal.Burst(2))
				require.ErrorIs(t, err, down)
				assert.EqualValues(t, 1, calls.Load())
				assert.Equal(t, 20, s.pending(t, "AuditLogged"))

				n, err := s.bus.FlushMany(ctx(t))
				require.ErrorIs(t, err, down)
				assert.Equal(t, 1, n, "another type isn't kept")
				assert.Equal(t, []int{1}, s.orders.Keys())
			})
		})
	}
}

func TestFlushSendsWhatWasPendingAtTheCallAndIsStillThere(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		s := open(t, db)
		s.audit(t, 3)
		first := s.AuditLogged.Query().FirstX(ctx(t))
		inSender := make(chan struct{})
		goOn := make(chan struct{})
		s.shipments.Before(func(context.Context, []*ent.ShipmentDue) error {
			close(inSender)
			<-goOn
			return nil
		})
		// AuditLogged comes first, then ShipmentDue: while the latter is
		// sent, a signal of the former is added.
		s.ShipmentDue.Create().SetCustomer("x").SetNumber(1).ExecX(ctx(t))
		s.AuditLogged.DeleteOne(first).ExecX(ctx(t))
		done := make(chan error, 1)
		go func() {
			_, err := s.bus.Flush(context.Background(), entsignal.Wait(0))
			done <- err
		}()
		<-inSender
		s.audit(t, 1)
		close(goOn)
		require.NoError(t, <-done)
		assert.Equal(t, []int{2, 3}, s.audits.Keys())
		assert.Equal(t, 1, s.pending(t, "AuditLogged"))
	})
}

func TestFlushManyEndsUnderLoad(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		s := open(t, db)
		s.audit(t, 5)
		next := 5
		s.audits.Before(func(ctx context.Context, _ []*ent.AuditLogged) error {
			next++
			if isSQLite(db) || next < 1000 {
				return s.AuditLogged.Create().SetNumber(next).Exec(ctx)
			}
			return nil
		})
		n, err := s.bus.FlushMany(ctx(t), entsignal.Burst(1))
		require.NoError(t, err)
		assert.Equal(t, 5, n)
		assert.Equal(t, 5, s.pending(t, "AuditLogged"))
	})
}

func TestSendSendsJustThese(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		s := open(t, db)
		s.audit(t, 4)
		all := s.AuditLogged.Query().AllX(ctx(t))
		s.AuditLogged.DeleteOne(all[1]).ExecX(ctx(t))
		n, err := s.AuditLogged.Send(ctx(t), all[2], all[1], all[0], all[2])
		require.NoError(t, err)
		assert.Equal(t, 2, n)
		require.Len(t, s.audits.Batches(), 1)
		assert.Equal(t, []int{3, 1}, s.audits.Keys())
		assert.Equal(t, entsignal.ModeSend, s.audits.Batches()[0].Mode)
		n, err = s.AuditLogged.Send(ctx(t))
		require.NoError(t, err)
		assert.Zero(t, n)
	})
}

func TestRowsThatAnotherTransactionHoldsAreLeftToIt(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"flush", "flushmany"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testdb.On(t, []testdb.Kind{testdb.PostgreSQL, testdb.PGX, testdb.MariaDB}, func(t *testing.T, db *testdb.DB) {
				s := open(t, db)
				s.audit(t, 6)
				tx, err := db.Open(t).BeginTx(ctx(t), &sql.TxOptions{Isolation: sql.LevelReadCommitted})
				require.NoError(t, err)
				defer tx.Rollback()
				rows, err := tx.Query("SELECT id FROM audit_loggeds WHERE id IN (1, 4) FOR UPDATE")
				require.NoError(t, err)
				require.NoError(t, rows.Close())
				n, err := flushes[name](s, ctx(t), entsignal.Burst(2))
				require.NoError(t, err)
				assert.Equal(t, 4, n)
				assert.Equal(t, []int{2, 3, 5, 6}, s.audits.Keys())
			})
		})
	}
}

func TestCancelledFlushKeepsWhatItDidNotSend(t *testing.T) {
	t.Parallel()
	for name, flush := range flushes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testdb.Each(t, func(t *testing.T, db *testdb.DB) {
				s := open(t, db, entsignal.WithBurstCount(1))
				s.audit(t, 5)
				c, cancel := context.WithCancel(ctx(t))
				s.audits.Before(func(ctx context.Context, signals []*ent.AuditLogged) error {
					if signals[0].Number == 3 {
						cancel()
						return confirm(ctx)
					}
					return nil
				})
				n, err := flush(s, c)
				require.ErrorIs(t, err, context.Canceled)
				assert.Equal(t, 3, n, "the batch in hand is finished")
				assert.Equal(t, 2, s.pending(t, "AuditLogged"))
			})
		})
	}
}

func TestCloseLetsTheBatchInHandFinish(t *testing.T) {
	t.Parallel()
	for name, flush := range flushes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testdb.Each(t, func(t *testing.T, db *testdb.DB) {
				s := open(t, db, entsignal.WithBurstCount(1))
				s.audit(t, 5)
				closed := make(chan error, 1)
				s.audits.Before(func(_ context.Context, signals []*ent.AuditLogged) error {
					if signals[0].Number == 3 {
						closing := make(chan struct{})
						go func() {
							close(closing)
							closed <- s.bus.Close(context.Background())
						}()
						<-closing
						require.Eventually(t, func() bool {
							_, err := s.OrderPlaced.Flush(context.Background())
							return errors.Is(err, entsignal.ErrClosed)
						}, 2*time.Minute, time.Millisecond)
					}
					return nil
				})
				n, err := flush(s, ctx(t))
				require.ErrorIs(t, err, entsignal.ErrClosed)
				assert.Equal(t, 3, n)
				require.NoError(t, <-closed)
				assert.Equal(t, 2, s.pending(t, "AuditLogged"))
			})
		})
	}
}

func TestBurstOfOneOnALargeBacklogIsPointedOutOnce(t *testing.T) {
	t.Parallel()
	testdb.On(t, []testdb.Kind{testdb.SQLite}, func(t *testing.T, db *testdb.DB) {
		log := &testlog.Log{}
		s := open(t, db, entsignal.WithLogger(log.Logger()), entsignal.WithBurstCount(1))
		s.audit(t, 900)
		_, err := s.AuditLogged.FlushMany(ctx(t))
		require.NoError(t, err)
		assert.NotContains(t, log.String(), "a burst of 1")
		for range 2 {
			s.audit(t, 1001)
			_, err = s.AuditLogged.FlushMany(ctx(t))
			require.NoError(t, err)
		}
		assert.Equal(t, 1, log.Count(`msg="a burst of 1 is slow for a backlog: set BurstCount in the schema, or WithBurstCount" signal=AuditLogged batches=1000`))
	})
}

func TestBurstsGrowOnlyWhereNothingSetsTheirSize(t *testing.T) {
	t.Parallel()
	testdb.On(t, []testdb.Kind{testdb.PostgreSQL, testdb.SQLite}, func(t *testing.T, db *testdb.DB) {
		s := open(t, db)
		sizes := func(flush func() (int, error)) (sizes []int) {
			s.audit(t, 100)
			s.outbox.Reset()
			n, err := flush()
			require.NoError(t, err)
			require.Equal(t, 100, n)
			for _, batch := range s.audits.Batches() {
				sizes = append(sizes, len(batch.Signals))
			}
			return sizes
		}
		for _, info := range s.bus.Signals() {
			// ShipmentDue has a burst count in its schema.
			assert.Equal(t, info.Name != "ShipmentDue", info.BurstGrows, info.Name)
			assert.Equal(t, info.BurstGrows, info.BurstCount == 1, info.Name)
		}
		grown := sizes(func() (int, error) { return s.AuditLogged.FlushMany(ctx(t)) })
		assert.Equal(t, 1, grown[0])
		for i, size := range grown[1:] { // on a slow machine it may not grow at all
			assert.LessOrEqual(t, size, 2*grown[i])
		}
		assert.Len(t, sizes(func() (int, error) { return s.AuditLogged.FlushMany(ctx(t), entsignal.Burst(1)) }), 100)
		assert.Len(t, sizes(func() (int, error) { return s.AuditLogged.FlushOrdered(ctx(t)) }), 100, "the order is kept row by row")
	})
}

func TestSenderThatCancelsItsOwnWorkEndsNoFlush(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"flush", "flushmany"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testdb.On(t, []testdb.Kind{testdb.PostgreSQL, testdb.SQLite}, func(t *testing.T, db *testdb.DB) {
				s := open(t, db)
				s.audit(t, 5)
				s.audits.Before(func(_ context.Context, signals []*ent.AuditLogged) error {
					return failures(signals, func(a *ent.AuditLogged) error {
						if a.Number == 2 {
							return fmt.Errorf("upload: %w", context.Canceled)
						}
						return nil
					})
				})
				n, err := flushes[name](s, ctx(t), entsignal.Burst(1))
				require.ErrorIs(t, err, context.Canceled)
				assert.Equal(t, 4, n)
				assert.ElementsMatch(t, []int{1, 3, 4, 5}, s.audits.Keys())
			})
		})
	}
}

// On SQLite. Of the flush timeout a sender has four fifths.
func TestWorkersThatTakeTurnsHaveTheTimeOfABatchEach(t *testing.T) {
	t.Parallel()
	const timeout = time.Hour
	s := open(t, sqlite(t), entsignal.WithFlushTimeout(timeout))
	s.audit(t, 12)
	var last time.Time // when the batch before was sent
	s.audits.Before(func(ctx context.Context, _ []*ent.AuditLogged) error {
		entsignal.Published(ctx)
		deadline, ok := ctx.Deadline()
		assert.True(t, ok)
		began := deadline.Add(-timeout * 4 / 5)
		assert.False(t, began.Before(last), "its time began %v before its turn", last.Sub(began))
		last = time.Now()
		return nil
	})
	n, err := s.bus.FlushMany(ctx(t), entsignal.Only("AuditLogged"), entsignal.Workers(8), entsignal.Burst(1))
	require.NoError(t, err)
	assert.Equal(t, 12, n)
}

func TestBatchesOfLargeRowsAreSmall(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		s := open(t, db)
		bus, err := ent.NewSignalBus(ent.SignalSenders{AuditLogged: s.senders.AuditLogged},
			entsignal.WithMissingSenders(), entsignal.WithBatchBytes(2200))
		require.NoError(t, err)
		client := ent.NewClient(ent.Driver(db.Driver(t)), ent.WithSignalBus(bus))
		payload := strings.Repeat("x", 200)
		record := func(n int) {
			s.AuditLogged.MapCreateBulk(make([]int, n), func(c *ent.AuditLoggedCreate, i int) {
				c.SetNumber(i).SetPayload(payload)
			}).ExecX(ctx(t))
		}
		for name, flush := range map[string]func(context.Context, ...entsignal.FlushOption) (int, error){
			"FlushMany": client.AuditLogged.FlushMany, "FlushOrdered": client.AuditLogged.FlushOrdered,
			"Flush": func(ctx context.Context, opts ...entsignal.FlushOption) (int, error) {
				return client.AuditLogged.Flush(ctx, append(opts, entsignal.Wait(0))...)
			},
		} {
			record(60)
			s.outbox.Reset()
			n, err := flush(ctx(t), entsignal.Burst(60))
			require.NoError(t, err)
			assert.Equal(t, 60, n, name)
			batches := s.audits.Batches()
			for _, batch := range batches[1:] {
				assert.LessOrEqual(t, len(batch.Signals), 10, name)
			}
		}
		require.NoError(t, bus.Close(ctx(t)))
	})
}
