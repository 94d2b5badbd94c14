package drivers_test

import (
	"context"
	"errors"
	"testing"

	"entgo.io/ent/dialect"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/integration/drivers/ent"
	"github.com/entsignal/signalbus/integration/internal/testdb"
)

// literals are the ways by which projects make clients of a config literal.
func literals(c *ent.Client) map[string]*ent.Client {
	return map[string]*ent.Client{
		"driver only":       ent.NewRawClient(c.Raw()),
		"with hooks":        c.WithHooksOf(nil),
		"Debug()":           ent.NewRawClient(c.Raw()).Debug(),
		"of Debug()":        ent.NewRawClient(c.Debug().Raw()),
		"with hooks, Debug": c.Debug().WithHooksOf(nil),
		"copy":              c.Copy(),
	}
}

// The clients' drivers: one that is known by the pool, one by itself, and one
// that can't be compared.
var openers = map[string]func(t *testing.T, db *testdb.DB) dialect.Driver{
	"pool":      func(t *testing.T, db *testdb.DB) dialect.Driver { return db.Driver(t) },
	"debug":     func(t *testing.T, db *testdb.DB) dialect.Driver { return dialect.Debug(db.Driver(t), quiet) },
	"embedding": func(t *testing.T, db *testdb.DB) dialect.Driver { return &embedding{db.Driver(t)} },
}

func eachLiteral(t *testing.T, test func(t *testing.T, p *program, db *testdb.DB)) {
	for name, driver := range openers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testdb.Each(t, func(t *testing.T, db *testdb.DB) {
				createTables(t, db)
				// Another client of the package, of another database.
				other := testdb.New(t, testdb.SQLite)
				bystander := open(t, other.Driver(t))
				test(t, open(t, driver(t, db)), db)
				assert.Empty(t, bystander.errors.all())
			})
		})
	}
}

// record creates four signals in a transaction.
func record(t *testing.T, c *ent.Client, from int) (numbers []int) {
	t.Helper()
	c.MoneyMoved.Create().SetNumber(from + 1).ExecX(ctx(t))
	c.Debug().MoneyMoved.Create().SetNumber(from + 2).ExecX(ctx(t))
	c.MoneyMoved.MapCreateBulk([]int{3, 4}, func(c *ent.MoneyMovedCreate, i int) { c.SetNumber(from + 3 + i) }).ExecX(ctx(t))
	return []int{from + 1, from + 2, from + 3, from + 4}
}

func TestClientOfAConfigLiteralCollectsInItsTransactions(t *testing.T) {
	t.Parallel()
	eachLiteral(t, func(t *testing.T, p *program, db *testdb.DB) {
		var want []int
		for name, c := range literals(p.Client) {
			tx, err := c.Tx(ctx(t))
			require.NoError(t, err, name)
			want = append(want, record(t, tx.Client(), len(want))...)
			require.NoError(t, tx.Commit(), name)
			assert.ElementsMatch(t, want, p.moved.Keys(), name)

			tx, err = c.Tx(ctx(t))
			require.NoError(t, err, name)
			record(t, tx.Client(), -100)
			require.NoError(t, tx.Rollback(), name)
		}
		assert.ElementsMatch(t, want, p.moved.Keys())
		assert.Empty(t, p.errors.all())
		assert.Zero(t, pending(t, db))
	})
}

// The transaction is committed by a driver of the application, without the
// hooks of ent's Tx.
func TestTransactionThatIsCommittedWithoutEntsTxIsCollected(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"pool", "debug", "embedding"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testdb.Each(t, func(t *testing.T, db *testdb.DB) {
				createTables(t, db)
				p := open(t, openers[name](t, db))
				raw, end, err := p.RawTx(ctx(t))
				require.NoError(t, err)
				want := record(t, ent.NewRawTx(ctx(t), raw).Client(), 0)
				want = append(want, record(t, ent.NewRawTx(ctx(t), raw).Client(), 4)...)
				want = append(want, record(t, p.WithHooksOf(raw.Driver), 8)...)
				assert.Empty(t, p.moved.Keys(), "before the commit")
				require.NoError(t, end.Commit())
				assert.ElementsMatch(t, want, p.moved.Keys())
				require.Error(t, end.Commit(), "again")

				raw, end, err = p.RawTx(ctx(t))
				require.NoError(t, err)
				record(t, ent.NewRawTx(ctx(t), raw).Client(), 100)
				require.NoError(t, end.Rollback())
				assert.Len(t, p.moved.Keys(), len(want))
				assert.Empty(t, p.errors.all())
				assert.Zero(t, pending(t, db))
			})
		})
	}
}

func TestTransactionWhoseEndNobodyTellsIsLogged(t *testing.T) {
	t.Parallel()
	db := testdb.New(t, testdb.SQLite)
	createTables(t, db)
	p := open(t, &own{db.Driver(t)})
	for range 2 {
		raw, end, err := p.RawTx(ctx(t))
		require.NoError(t, err)
		record(t, ent.NewRawTx(ctx(t), raw).Client(), 0)
		require.NoError(t, end.Commit())
	}
	require.Len(t, p.errors.all(), 1, "once")
	require.ErrorIs(t, p.errors.all()[0], entsignal.ErrNotCollected)
	require.ErrorContains(t, p.errors.all()[0], "*drivers_test.ownTx")
	assert.Equal(t, 8, pending(t, db))
}

func TestClientOfAConfigLiteralLogsWhatItCreatesOutsideOfATransaction(t *testing.T) {
	t.Parallel()
	eachLiteral(t, func(t *testing.T, p *program, db *testdb.DB) {
		c := ent.NewRawClient(p.Raw())
		record(t, c, 0)
		record(t, c.Debug(), 4)
		require.Len(t, p.errors.all(), 1, "once")
		require.ErrorIs(t, p.errors.all()[0], entsignal.ErrNotCollected)
		require.ErrorContains(t, p.errors.all()[0], "config literal")
		assert.Contains(t, p.log.String(), "config literal")
		assert.Equal(t, 8, pending(t, db))
		n, err := c.MoneyMoved.Flush(ctx(t), entsignal.Wait(0))
		require.NoError(t, err)
		assert.Equal(t, 8, n)
	})
}

func TestClientOfAConfigLiteralWithHooksSendsWhatItCreatesOutsideOfATransaction(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		createTables(t, db)
		p := open(t, db.Driver(t))
		want := record(t, p.WithHooksOf(nil), 0)
		assert.ElementsMatch(t, want, p.moved.Keys())
		assert.Empty(t, p.errors.all())
	})
}

func TestClientOfAConfigLiteralIsOneOfItsDatabase(t *testing.T) {
	t.Parallel()
	eachLiteral(t, func(t *testing.T, p *program, db *testdb.DB) {
		for name, c := range literals(p.Client) {
			before := len(p.moved.Keys())
			require.NoError(t, p.Atomic(ctx(t), func(ctx context.Context, tx *ent.Tx) error {
				account := tx.Account.Create().SaveX(ctx)
				// Another transaction would wait for the row, or not see it.
				return c.Atomic(ctx, func(ctx context.Context, tx *ent.Tx) error {
					if _, err := tx.Account.Lock(ctx, account.ID); err != nil {
						return err
					}
					return tx.MoneyMoved.Create().SetNumber(1).Exec(ctx)
				})
			}), name)
			assert.Len(t, p.moved.Keys(), before+1, name)
			account, err := ent.InTx(ctx(t), c, func(ctx context.Context, tx *ent.Tx) (*ent.Account, error) {
				return tx.Account.Create().Save(ctx)
			})
			require.NoError(t, err, name)
			account.Update().SetBalance(1).ExecX(ctx(t))
			_, err = c.Account.Lock(ctx(t), account.ID)
			require.ErrorIs(t, err, entsignal.ErrNoTx, name)
			_, err = c.MoneyMoved.Send(ctx(t))
			require.NoError(t, err, name)
			_, err = c.MoneyMoved.FlushOrdered(ctx(t))
			require.NoError(t, err, name)
			failed := errors.New("failed")
			require.ErrorIs(t, c.Atomic(ctx(t), func(ctx context.Context, tx *ent.Tx) error {
				tx.MoneyMoved.Create().SetNumber(2).ExecX(ctx)
				_, err := tx.MoneyMoved.Flush(ctx)
				assert.ErrorIs(t, err, entsignal.ErrInTx)
				return failed
			}), failed, name)
		}
		assert.Empty(t, p.errors.all())
	})
}

func TestSignalOfAConfigLiteralLocksItsKey(t *testing.T) {
	t.Parallel()
	testdb.On(t, []testdb.Kind{testdb.PostgreSQL, testdb.PGX, testdb.SQLite}, func(t *testing.T, db *testdb.DB) {
		createTables(t, db)
		p := open(t, db.Driver(t))
		for name, c := range literals(p.Client) {
			_, err := c.PriceSet.Create().SetArticle(1).SetNumber(1).Save(ctx(t))
			require.ErrorIs(t, err, entsignal.ErrNoTx, name)
			before := len(p.priced.Keys())
			tx, err := c.Tx(ctx(t))
			require.NoError(t, err)
			tx.PriceSet.Create().SetArticle(1).SetNumber(1).ExecX(ctx(t))
			tx.PriceSet.CreateBulk(tx.PriceSet.Create().SetArticle(1).SetNumber(2), tx.PriceSet.Create().SetArticle(2).SetNumber(3)).ExecX(ctx(t))
			require.NoError(t, tx.Commit())
			assert.Len(t, p.priced.Keys(), before+3, name)
		}
		assert.Empty(t, p.errors.all())
	})
}

func TestConfigLiteralMayBeBoundToABus(t *testing.T) {
	t.Parallel()
	db := testdb.New(t, testdb.SQLite)
	createTables(t, db)
	p := open(t, db.Driver(t))
	bus, err := ent.NewSignalBus(p.senders)
	require.NoError(t, err)
	c := ent.NewRawClient(ent.Raw{Driver: db.Driver(t), Log: quiet}, ent.WithSignalBus(bus))
	record(t, c, 0)
	assert.Len(t, p.moved.Keys(), 4)
}

// A driver that no client was opened with doesn't tell whose bus is meant. This
// test runs beside no other: any client of the package may log it.
func TestClientOfAConfigLiteralWithAStrangeDriverIsLogged(t *testing.T) {
	db := testdb.New(t, testdb.SQLite)
	createTables(t, db)
	p := open(t, db.Driver(t))
	c := ent.NewRawClient(ent.Raw{Driver: commented{Driver: db.Driver(t)}, Log: quiet})
	for range 2 {
		require.NoError(t, c.Atomic(ctx(t), func(ctx context.Context, tx *ent.Tx) error {
			_, err := tx.Account.Lock(ctx, tx.Account.Create().SaveX(ctx).ID)
			require.NoError(t, err)
			return tx.MoneyMoved.Create().SetNumber(1).Exec(ctx)
		}))
	}
	_, err := c.MoneyMoved.Flush(ctx(t))
	require.ErrorIs(t, err, entsignal.ErrUnbound)
	assert.Equal(t, 2, pending(t, db))
	require.Len(t, p.errors.all(), 1, "once")
	require.ErrorIs(t, p.errors.all()[0], entsignal.ErrNotCollected)
	require.ErrorContains(t, p.errors.all()[0], "drivers_test.commented")
}
