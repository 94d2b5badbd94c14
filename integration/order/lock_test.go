package order_test

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/integration/internal/testdb"
	"github.com/entsignal/signalbus/integration/order/ent"
	"github.com/entsignal/signalbus/integration/order/ent/hook"
)

var postgres = []testdb.Kind{testdb.PostgreSQL, testdb.PGX}

// begin begins a transaction that the test ends.
func (p *process) begin(t testing.TB) *ent.Tx {
	t.Helper()
	tx, err := p.Tx(ctx(t))
	require.NoError(t, err)
	t.Cleanup(func() { _ = tx.Rollback() })
	return tx
}

// waits reports whether f waits until release is called; it fails the test if
// f returns an error.
func waits(t testing.TB, f func() error, release func() error) bool {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- f() }()
	var early bool
	select {
	case err := <-done:
		early = true
		require.NoError(t, err)
	case <-time.After(100 * time.Millisecond):
	}
	require.NoError(t, release())
	if !early {
		require.NoError(t, <-done)
	}
	return !early
}

func TestTransactionsThatCreateSignalsOfOneKeyWaitForEachOther(t *testing.T) {
	t.Parallel()
	testdb.On(t, postgres, func(t *testing.T, db *testdb.DB) {
		var to arrivals
		p := open(t, db, &to)
		for name, create := range map[string]func(tx *ent.Tx, account int) error{
			"one": func(tx *ent.Tx, account int) error {
				return tx.AccountLocked.Create().SetAccount(account).SetNumber(0).Exec(context.Background())
			},
			"bulk": func(tx *ent.Tx, account int) error {
				return tx.AccountLocked.CreateBulk(
					tx.AccountLocked.Create().SetAccount(account+100).SetNumber(0),
					tx.AccountLocked.Create().SetAccount(account).SetNumber(0),
				).Exec(context.Background())
			},
			"debug": func(tx *ent.Tx, account int) error {
				return tx.Client().Debug().AccountLocked.Create().SetAccount(account).SetNumber(0).Exec(context.Background())
			},
		} {
			first, second := p.begin(t), p.begin(t)
			require.NoError(t, create(first, 1))
			require.NoError(t, create(second, 2), name+": another key is free")
			assert.True(t, waits(t, func() error { return create(second, 1) }, first.Commit), name)
			require.NoError(t, second.Commit())
		}
		tx := p.begin(t)
		require.NoError(t, tx.AccountLocked.Create().SetAccount(1).SetNumber(0).Exec(ctx(t)))
		require.NoError(t, tx.AccountLocked.Create().SetAccount(1).SetNumber(0).Exec(ctx(t)), "its own lock")
		require.NoError(t, tx.Rollback())
		checks, err := p.bus.CheckOrder(ctx(t), entsignal.Only("AccountLocked"))
		require.NoError(t, err)
		assert.True(t, checks[0].Strict)
	})
}

// The key that counts is the one that the row gets in the end.
func TestKeyThatAHookSetsIsTheOneThatIsLocked(t *testing.T) {
	t.Parallel()
	testdb.On(t, postgres, func(t *testing.T, db *testdb.DB) {
		var to arrivals
		p := open(t, db, &to)
		p.AccountLocked.Use(func(next ent.Mutator) ent.Mutator {
			return hook.AccountLockedFunc(func(ctx context.Context, m *ent.AccountLockedMutation) (ent.Value, error) {
				account, _ := m.Account()
				m.SetAccount(account % 10)
				return next.Mutate(ctx, m)
			})
		})
		create := func(tx *ent.Tx, account int) func() error {
			return func() error {
				return tx.AccountLocked.Create().SetAccount(account).SetNumber(0).Exec(context.Background())
			}
		}
		bulk := func(tx *ent.Tx, account int) func() error {
			return func() error {
				return tx.AccountLocked.CreateBulk(tx.AccountLocked.Create().SetAccount(account).SetNumber(0)).Exec(context.Background())
			}
		}
		for _, second := range []func(*ent.Tx, int) func() error{create, bulk} {
			a, b := p.begin(t), p.begin(t)
			require.NoError(t, create(a, 1)())
			assert.True(t, waits(t, second(b, 11), a.Commit))
			require.NoError(t, b.Commit())
		}
	})
}

func TestOtherProgramsCanLockAKey(t *testing.T) {
	t.Parallel()
	testdb.On(t, postgres, func(t *testing.T, db *testdb.DB) {
		var to arrivals
		p := open(t, db, &to)
		other, err := db.Open(t).Begin()
		require.NoError(t, err)
		_, err = other.Exec("SELECT pg_advisory_xact_lock(hashtextextended('entsignal account_lockeds 42', 0))")
		require.NoError(t, err)
		tx := p.begin(t)
		assert.True(t, waits(t, func() error {
			return tx.AccountLocked.Create().SetAccount(42).SetNumber(0).Exec(context.Background())
		}, other.Rollback))
		require.NoError(t, tx.Commit())
	})
}

func TestBulksWithTheirKeysInAnyOrderAreInNoDeadlock(t *testing.T) {
	t.Parallel()
	testdb.On(t, postgres, func(t *testing.T, db *testdb.DB) {
		var to arrivals
		p := open(t, db, &to)
		var all sync.WaitGroup
		for w := range 4 {
			all.Go(func() {
				random := rand.New(rand.NewPCG(uint64(w), 1))
				for range 20 {
					keys := random.Perm(30)
					tx, err := p.Tx(context.Background())
					if !assert.NoError(t, err) {
						return
					}
					err = tx.AccountLocked.MapCreateBulk(keys, func(c *ent.AccountLockedCreate, i int) {
						c.SetAccount(keys[i]).SetNumber(0)
					}).Exec(context.Background())
					assert.NoError(t, err)
					assert.NoError(t, tx.Commit())
				}
			})
		}
		all.Wait()
	})
}

func TestSignalThatLocksItsKeyIsCreatedInATransaction(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		var to arrivals
		p := open(t, db, &to)
		for _, client := range []*ent.Client{p.Client, p.Debug(), ent.NewClient(ent.Driver(db.Driver(t)))} {
			err := client.AccountLocked.Create().SetAccount(1).SetNumber(1).Exec(ctx(t))
			require.ErrorIs(t, err, entsignal.ErrNoTx)
			require.ErrorContains(t, err, "creating a signal AccountLocked needs a transaction")
			err = client.AccountLocked.CreateBulk(client.AccountLocked.Create().SetAccount(1).SetNumber(1)).Exec(ctx(t))
			require.ErrorIs(t, err, entsignal.ErrNoTx)
		}
		tx := p.begin(t)
		err := tx.AccountLocked.Create().SetAccount(1).SetNumber(1).Exec(ctx(t))
		if db.Dialect == dialect.MySQL {
			require.ErrorContains(t, err, "entsignal: lock the key of signal AccountLocked: MySQL and MariaDB have no key lock that ends with the transaction; leave out LockOrderKey")
			return
		}
		require.NoError(t, err)
		require.NoError(t, tx.Commit())

		foreign, err := db.Open(t).Begin() // a transaction that ent doesn't know of
		require.NoError(t, err)
		within := ent.NewClient(ent.Driver(entsql.NewDriver(db.Dialect, entsql.Conn{ExecQuerier: foreign})))
		require.NoError(t, within.AccountLocked.Create().SetAccount(1).SetNumber(2).Exec(ctx(t)))
		require.NoError(t, foreign.Commit())
		n, err := p.AccountLocked.FlushOrdered(ctx(t))
		require.NoError(t, err)
		assert.Equal(t, 2, n)
		assert.Equal(t, []int{1, 2}, to.of(1))
	})
}

// With the lock, nothing that another transaction does later can be committed
// before: so a flush need not wait for a transaction of another key.
func TestLockedKeysWaitForNoOtherKey(t *testing.T) {
	t.Parallel()
	testdb.On(t, postgres, func(t *testing.T, db *testdb.DB) {
		var to arrivals
		p := open(t, db, &to)
		late := p.begin(t)
		late.AccountMoved.Create().SetAccount(1).SetNumber(1).ExecX(ctx(t))
		late.AccountLocked.Create().SetAccount(3).SetNumber(1).ExecX(ctx(t))
		p.AccountMoved.Create().SetAccount(2).SetNumber(1).ExecX(ctx(t))
		tx := p.begin(t)
		tx.AccountLocked.Create().SetAccount(4).SetNumber(1).ExecX(ctx(t))
		require.NoError(t, tx.Commit())
		_, err := p.AccountMoved.FlushOrdered(ctx(t), entsignal.HoldBack(0))
		var held *entsignal.HeldBackError
		require.ErrorAs(t, err, &held, "who knows which account the open transaction is about")
		n, err := p.AccountLocked.FlushOrdered(ctx(t), entsignal.HoldBack(0))
		require.NoError(t, err)
		assert.Equal(t, 1, n)
	})
}

// writeKeys has 12 writers create signals in transactions that stay open for up
// to 10 ms, until so many are committed. keyOf gives a writer a key. On SQLite
// they take turns, and hold no transaction open: it would let some wait until
// they time out.
func writeKeys(t testing.TB, p *process, rows int64, keyOf func(writer int, random *rand.Rand) int, create func(tx *ent.Tx, key int) error) {
	t.Helper()
	var (
		all       sync.WaitGroup
		committed atomic.Int64
		turn      = make(chan struct{}, 12)
		hold      = 10 * time.Millisecond
	)
	if isSQLite(p.db) {
		turn, hold = make(chan struct{}, 1), 1
	}
	transaction := func(key int, random *rand.Rand) bool {
		turn <- struct{}{}
		defer func() { <-turn }()
		tx, err := p.Tx(context.Background())
		if !assert.NoError(t, err) {
			return false
		}
		n := 1 + random.IntN(3)
		for range n {
			if err == nil {
				err = create(tx, key)
			}
		}
		if !assert.NoError(t, err) {
			_ = tx.Rollback()
			return false
		}
		<-time.After(time.Duration(random.Int64N(int64(hold))))
		if random.IntN(10) == 0 {
			return assert.NoError(t, tx.Rollback())
		}
		committed.Add(int64(n))
		return assert.NoError(t, tx.Commit())
	}
	for w := range 12 {
		all.Go(func() {
			random := rand.New(rand.NewPCG(uint64(w), 3))
			for committed.Load() < rows && transaction(keyOf(w, random), random) {
				continue
			}
		})
	}
	all.Wait()
}

// takeNaively takes what is visible by id, again and again until done, as a
// relay that waits for nobody does. It returns how many rows came after one of
// their key with a higher id.
func takeNaively(t testing.TB, pool *sql.DB, table string, done <-chan struct{}) (rows, inversions int) {
	t.Helper()
	highest := make(map[int]int)
	for last := false; !last; {
		select {
		case <-done:
			last = true
		default:
		}
		taken, err := pool.Query(fmt.Sprintf("DELETE FROM %s WHERE id IN (SELECT id FROM %s ORDER BY id FOR UPDATE SKIP LOCKED) RETURNING id, account_id", table, table))
		require.NoError(t, err)
		var page [][2]int
		for taken.Next() {
			var id, key int
			require.NoError(t, taken.Scan(&id, &key))
			page = append(page, [2]int{id, key})
		}
		require.NoError(t, taken.Err())
		slices.SortFunc(page, func(a, b [2]int) int { return a[0] - b[0] })
		for _, row := range page {
			rows++
			if row[0] < highest[row[1]] {
				inversions++
			}
			highest[row[1]] = max(highest[row[1]], row[0])
		}
	}
	return rows, inversions
}

func TestLockedKeysAreCommittedInTheOrderOfTheirIDs(t *testing.T) {
	t.Parallel()
	testdb.On(t, []testdb.Kind{testdb.PostgreSQL}, func(t *testing.T, db *testdb.DB) {
		var to arrivals
		p := open(t, db, &to)
		hot := func(_ int, random *rand.Rand) int { return random.IntN(20) }
		inversions := func(table string, create func(tx *ent.Tx, key int) error) int {
			done := make(chan struct{})
			go func() {
				defer close(done)
				writeKeys(t, p, 1000, hot, create)
			}()
			rows, inversions := takeNaively(t, db.Open(t), table, done)
			t.Logf("%s: %d inversions in %d rows", table, inversions, rows)
			return inversions
		}
		assert.Positive(t, inversions("account_moveds", func(tx *ent.Tx, key int) error {
			return tx.AccountMoved.Create().SetAccount(key).SetNumber(0).Exec(context.Background())
		}), "without the lock they are not, or else this test would show nothing")
		assert.Zero(t, inversions("account_lockeds", func(tx *ent.Tx, key int) error {
			return tx.AccountLocked.Create().SetAccount(key).SetNumber(0).Exec(context.Background())
		}))
	})
}

func TestOrderedFlushKeepsTheOrderOfKeysBesideRandomWriters(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		rows := int64(300)
		if isSQLite(db) {
			rows = 100
		}
		var to, again arrivals
		p := open(t, db, &to)
		relay := join(t, db, &again)
		mine := func(writer int, random *rand.Rand) int { return writer + 12*random.IntN(3) }
		keyOf := mine // each key has one writer: the application puts them in order
		if db.Dialect == dialect.Postgres {
			keyOf = func(_ int, random *rand.Rand) int { return random.IntN(20) }
		}
		type flush func(context.Context, ...entsignal.FlushOption) (int, error)
		for name, tc := range map[string]struct {
			create  func(tx *ent.Tx, key int) error
			flushes []flush
		}{
			"AccountMoved": {
				func(tx *ent.Tx, key int) error {
					s, err := tx.AccountMoved.Create().SetAccount(key).SetNumber(0).Save(context.Background())
					if err == nil {
						err = tx.AccountMoved.UpdateOne(s).SetNumber(s.ID).Exec(context.Background())
					}
					return err
				},
				[]flush{p.AccountMoved.FlushOrdered, relay.AccountMoved.FlushOrdered},
			},
			"AccountLocked": {
				func(tx *ent.Tx, key int) error {
					s, err := tx.AccountLocked.Create().SetAccount(key).SetNumber(0).Save(context.Background())
					if err == nil {
						err = tx.AccountLocked.UpdateOne(s).SetNumber(s.ID).Exec(context.Background())
					}
					return err
				},
				[]flush{p.AccountLocked.FlushOrdered, relay.AccountLocked.FlushOrdered},
			},
		} {
			if name == "AccountLocked" && db.Dialect == dialect.MySQL {
				continue
			}
			to.all, again.all = nil, nil
			seen := &arrivals{} // of both processes
			to.before = func(key any, number int) error { return seen.send(key, number) }
			again.before = to.before
			done := make(chan struct{})
			go func() {
				defer close(done)
				writeKeys(t, p, rows, keyOf, tc.create)
			}()
			var flushers sync.WaitGroup
			for _, flush := range tc.flushes {
				flushers.Go(func() {
					for last := false; !last; {
						select {
						case <-done:
							last = true
						default:
						}
						_, err := flush(context.Background(), entsignal.Workers(3))
						assert.NoError(t, err)
					}
				})
			}
			flushers.Wait()
			assert.Zero(t, p.pending(t, name))
			assert.GreaterOrEqual(t, seen.count(), int(rows))
			highest, once := make(map[any]int), make(map[int]bool)
			for _, s := range seen.all {
				assert.Greater(t, s.number, highest[s.key], "%s: key %v", name, s.key)
				assert.False(t, once[s.number], "%s: id %d was sent twice", name, s.number)
				highest[s.key], once[s.number] = s.number, true
			}
		}
	})
}
