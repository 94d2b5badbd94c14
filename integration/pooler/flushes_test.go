package pooler

import (
	"context"
	"errors"
	"strings"
	"testing"

	"entgo.io/ent/dialect"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
	bank "github.com/entsignal/signalbus/integration/bank/ent"
	order "github.com/entsignal/signalbus/integration/order/ent"
	retry "github.com/entsignal/signalbus/integration/retry/ent"
	shop "github.com/entsignal/signalbus/integration/shop/ent"
)

// rounds is how often each program of a test comes anew, as from cron.
const rounds = 5

// close closes what a round has opened.
func closeBus(t testing.TB, bus *entsignal.Bus) {
	t.Helper()
	require.NoError(t, bus.Close(ctx(t)))
}

func TestEveryFlushOfUnorderedSignalsWorksThroughAPooler(t *testing.T) {
	each(t, func(ctx context.Context, drv dialect.Driver, s *strings.Builder) error {
		return shop.NewClient(shop.Driver(drv)).Schema.WriteTo(ctx, s)
	}, func(t *testing.T, w way, dsn string) {
		for range rounds {
			var to numbers
			reported := make(chan error, 10)
			bus, err := shop.NewSignalBus(shop.SignalSenders{
				AuditLogged: entsignal.Each(func(_ context.Context, s *shop.AuditLogged) error { to.add(s.Number); return nil }),
				OrderPlaced: entsignal.Each(func(_ context.Context, s *shop.OrderPlaced) error { to.add(s.Number); return nil }),
				UserJoined:  entsignal.Each(func(_ context.Context, s *shop.UserJoined) error { to.add(s.Number); return nil }),
				Measured: entsignal.Each(func(_ context.Context, s *shop.Measured) error {
					if s.Labels["a"] != "b" || string(s.Raw) != "\x00\x01" || len(s.Tags) != 2 {
						return errors.New("not what was stored")
					}
					to.add(1)
					return nil
				}),
			}, entsignal.WithMissingSenders(), entsignal.WithErrorHandler(func(_ context.Context, err error) { reported <- err }))
			require.NoError(t, err)
			client := shop.NewClient(shop.Driver(w.driver(t, dsn)), shop.WithSignalBus(bus))

			require.NoError(t, client.Atomic(ctx(t), func(ctx context.Context, tx *shop.Tx) error {
				return errors.Join(tx.OrderPlaced.Create().SetNumber(1).Exec(ctx), tx.UserJoined.Create().SetNumber(2).Exec(ctx))
			}))
			assert.Equal(t, []int{1, 2}, to.sorted(), "by autoflushes")

			bus.SetAutoFlush(false)
			record := func(n int) {
				require.NoError(t, client.Atomic(ctx(t), func(ctx context.Context, tx *shop.Tx) error {
					for i := range n {
						if err := tx.AuditLogged.Create().SetNumber(i).Exec(ctx); err != nil {
							return err
						}
						if err := tx.UserJoined.Create().SetNumber(i).Exec(ctx); err != nil {
							return err
						}
					}
					if w.plain {
						return tx.AuditLogged.Create().SetNumber(n).Exec(ctx)
					}
					return tx.Measured.Create().SetLabels(map[string]string{"a": "b"}).SetTags([]string{"x", "y"}).SetRaw([]byte{0, 1}).Exec(ctx)
				}))
			}
			record(5)
			counts, err := bus.Pending(ctx(t))
			require.NoError(t, err)
			assert.Contains(t, counts, entsignal.PendingCount{Name: "UserJoined", Count: 5})
			sent, err := bus.Flush(ctx(t), entsignal.Wait(0), entsignal.Only("AuditLogged", "UserJoined", "Measured"))
			require.NoError(t, err)
			assert.Equal(t, 11, sent)
			record(20)
			sent, err = bus.FlushMany(ctx(t), entsignal.Burst(3), entsignal.Only("AuditLogged", "UserJoined", "Measured"))
			require.NoError(t, err)
			assert.Equal(t, 41, sent)
			assert.Len(t, to.take(), 52)
			if w.bare {
				bus.SetAutoFlush(true)
				row, err := client.AuditLogged.Create().SetNumber(3).Save(ctx(t))
				require.NoError(t, err)
				sent, err := client.AuditLogged.Send(ctx(t), row)
				require.NoError(t, err)
				assert.Equal(t, 1, sent)
				if !w.plain {
					measured := client.Measured.Create().SetLabels(map[string]string{"a": "b"}).SetTags([]string{"x", "y"}).SetRaw([]byte{0, 1})
					require.NoError(t, measured.Exec(ctx(t)))
					assert.Equal(t, []int{1, 3}, to.sorted())
				}
				to.take()
				require.NoError(t, client.OrderPlaced.Create().SetNumber(4).Exec(ctx(t)))
				assert.Equal(t, []int{4}, to.take())
			}
			closeBus(t, bus)
			require.Empty(t, reported)
		}
	})
}

func TestOrderedFlushesWorkThroughAPooler(t *testing.T) {
	each(t, func(ctx context.Context, drv dialect.Driver, s *strings.Builder) error {
		return order.NewClient(order.Driver(drv)).Schema.WriteTo(ctx, s)
	}, func(t *testing.T, w way, dsn string) {
		for range rounds {
			var doors, accounts, locked, levels numbers
			bus, err := order.NewSignalBus(order.SignalSenders{
				DoorOpened:    entsignal.Each(func(_ context.Context, s *order.DoorOpened) error { doors.add(s.Number); return nil }),
				AccountMoved:  entsignal.Each(func(_ context.Context, s *order.AccountMoved) error { accounts.add(s.Number); return nil }),
				AccountLocked: entsignal.Each(func(_ context.Context, s *order.AccountLocked) error { locked.add(s.Number); return nil }),
				LevelReached:  entsignal.Each(func(_ context.Context, s *order.LevelReached) error { levels.add(s.Number); return nil }),
			}, entsignal.WithMissingSenders())
			require.NoError(t, err)
			client := order.NewClient(order.Driver(w.driver(t, dsn)), order.WithSignalBus(bus))
			require.NoError(t, client.Atomic(ctx(t), func(ctx context.Context, tx *order.Tx) error {
				for i := range 6 {
					if err := errors.Join(
						tx.DoorOpened.Create().SetNumber(i).Exec(ctx),
						tx.AccountMoved.Create().SetAccount(i%2).SetNumber(i).Exec(ctx),
						tx.AccountLocked.Create().SetAccount(i%2).SetNumber(i).Exec(ctx),
						tx.LevelReached.Create().SetLevel("low").SetNumber(i).Exec(ctx)); err != nil {
						return err
					}
				}
				return nil
			}))
			checks, err := bus.CheckOrder(ctx(t), entsignal.Only("DoorOpened", "AccountMoved"))
			require.NoError(t, err)
			for _, check := range checks {
				assert.True(t, check.Strict, check.Reason)
			}
			sent, err := bus.FlushOrdered(ctx(t), entsignal.Only("DoorOpened"))
			require.NoError(t, err)
			assert.Equal(t, 6, sent)
			sent, err = bus.FlushOrdered(ctx(t), entsignal.Workers(2), entsignal.Only("AccountMoved", "AccountLocked", "LevelReached"))
			require.NoError(t, err)
			assert.Equal(t, 18, sent)
			for _, to := range []*numbers{&doors, &levels} {
				assert.Equal(t, []int{0, 1, 2, 3, 4, 5}, to.take())
			}
			for _, to := range []*numbers{&accounts, &locked} {
				assert.Equal(t, []int{0, 1, 2, 3, 4, 5}, to.sorted())
			}
			closeBus(t, bus)
		}
	})
}

// A flush that is held back asks who holds it.
func TestOrderedFlushNamesThroughAPoolerWhoHoldsItBack(t *testing.T) {
	each(t, func(ctx context.Context, drv dialect.Driver, s *strings.Builder) error {
		return order.NewClient(order.Driver(drv)).Schema.WriteTo(ctx, s)
	}, func(t *testing.T, w way, dsn string) {
		for range rounds {
			bus, err := order.NewSignalBus(order.SignalSenders{
				DoorOpened: entsignal.Each(func(context.Context, *order.DoorOpened) error { return nil }),
			}, entsignal.WithMissingSenders())
			require.NoError(t, err)
			client := order.NewClient(order.Driver(w.driver(t, dsn)), order.WithSignalBus(bus))
			late, err := client.Tx(ctx(t))
			require.NoError(t, err)
			require.NoError(t, late.DoorOpened.Create().SetNumber(1).Exec(ctx(t)))
			require.NoError(t, client.Atomic(ctx(t), func(ctx context.Context, tx *order.Tx) error {
				return tx.DoorOpened.Create().SetNumber(2).Exec(ctx)
			}))
			_, err = client.DoorOpened.FlushOrdered(ctx(t), entsignal.HoldBack(0))
			var held *entsignal.HeldBackError
			require.ErrorAs(t, err, &held)
			assert.Len(t, held.Blockers, 1)
			require.NoError(t, late.Commit())
			sent, err := client.DoorOpened.FlushOrdered(ctx(t))
			require.NoError(t, err)
			assert.Equal(t, 2, sent)
			closeBus(t, bus)
		}
	})
}

func TestFailedSignalsAreRetriedAndDiscardedThroughAPooler(t *testing.T) {
	each(t, func(ctx context.Context, drv dialect.Driver, s *strings.Builder) error {
		return retry.NewClient(retry.Driver(drv)).Schema.WriteTo(ctx, s)
	}, func(t *testing.T, w way, dsn string) {
		for range rounds {
			bad := true
			bus, err := retry.NewSignalBus(retry.SignalSenders{
				JobQueued: entsignal.Each(func(_ context.Context, s *retry.JobQueued) error {
					if bad && s.Number%2 == 1 {
						return entsignal.Permanent(errors.New("bad"))
					}
					return nil
				}),
			}, entsignal.WithMissingSenders())
			require.NoError(t, err)
			client := retry.NewClient(retry.Driver(w.driver(t, dsn)), retry.WithSignalBus(bus))
			require.NoError(t, client.Atomic(ctx(t), func(ctx context.Context, tx *retry.Tx) error {
				for i := range 8 {
					if err := tx.JobQueued.Create().SetNumber(i).Exec(ctx); err != nil {
						return err
					}
				}
				return nil
			}))
			sent, err := client.JobQueued.FlushMany(ctx(t), entsignal.Burst(4))
			require.ErrorContains(t, err, "bad")
			assert.Equal(t, 4, sent)
			failed, err := bus.Failed(ctx(t), entsignal.Only("JobQueued"))
			require.NoError(t, err)
			require.Len(t, failed, 4)
			counts, err := bus.Pending(ctx(t), entsignal.Only("JobQueued"))
			require.NoError(t, err)
			assert.Equal(t, []entsignal.PendingCount{{Name: "JobQueued", Count: 4, Dead: 4}}, counts)
			n, err := bus.Discard(ctx(t), "JobQueued", failed[0].ID)
			require.NoError(t, err)
			assert.Equal(t, 1, n)
			n, err = bus.Retry(ctx(t), "JobQueued", failed[1].ID)
			require.NoError(t, err)
			assert.Equal(t, 1, n)
			n, err = bus.RetryAll(ctx(t), "JobQueued")
			require.NoError(t, err)
			assert.Equal(t, 2, n)
			bad = false
			sent, err = client.JobQueued.Flush(ctx(t), entsignal.Wait(0))
			require.NoError(t, err)
			assert.Equal(t, 3, sent)
			closeBus(t, bus)
		}
	})
}

func TestAtomicAndLockWorkThroughAPooler(t *testing.T) {
	each(t, func(ctx context.Context, drv dialect.Driver, s *strings.Builder) error {
		return bank.NewClient(bank.Driver(drv)).Schema.WriteTo(ctx, s)
	}, func(t *testing.T, w way, dsn string) {
		var to numbers
		bus, err := bank.NewSignalBus(bank.SignalSenders{
			MoneyMoved: entsignal.Each(func(_ context.Context, s *bank.MoneyMoved) error { to.add(s.Number); return nil }),
		})
		require.NoError(t, err)
		client := bank.NewClient(bank.Driver(w.driver(t, dsn)), bank.WithSignalBus(bus))
		account, err := bank.InTx(ctx(t), client, func(ctx context.Context, tx *bank.Tx) (*bank.Account, error) {
			return tx.Account.Create().SetOwner("a").Save(ctx)
		})
		require.NoError(t, err)
		const workers, times = 3, 5
		errs := make(chan error)
		for range workers {
			go func() {
				for i := range times {
					errs <- client.Atomic(context.Background(), func(ctx context.Context, tx *bank.Tx) error {
						a, err := tx.Account.Lock(ctx, account.ID)
						if err != nil {
							return err
						}
						if err := tx.Account.UpdateOne(a).SetBalance(a.Balance + 1).Exec(ctx); err != nil {
							return err
						}
						return tx.MoneyMoved.Create().SetNumber(i).Exec(ctx)
					}, entsignal.Retries(1000))
				}
			}()
		}
		for range workers * times {
			require.NoError(t, <-errs)
		}
		balance, err := bank.InTx(ctx(t), client, func(ctx context.Context, tx *bank.Tx) (int, error) {
			a, err := tx.Account.Get(ctx, account.ID)
			if err != nil {
				return 0, err
			}
			return a.Balance, nil
		})
		require.NoError(t, err)
		assert.Equal(t, workers*times, balance)
		closeBus(t, bus)
		assert.Len(t, to.take(), workers*times)
	})
}
