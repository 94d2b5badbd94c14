package bank_test

import (
	"context"
	"database/sql"
	"testing"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/integration/bank/ent"
	"github.com/entsignal/signalbus/integration/internal/testdb"
)

// locking are the databases with row locks.
var locking = []testdb.Kind{testdb.PostgreSQL, testdb.PGX, testdb.MariaDB}

func TestLockHoldsTheRowUntilTheTransactionEnds(t *testing.T) {
	t.Parallel()
	testdb.On(t, locking, func(t *testing.T, db *testdb.DB) {
		b := open(t, db)
		id := b.account(t, "ann").ID
		free := b.account(t, "bob").ID
		held := make(chan error, 1)
		err := b.Atomic(ctx(t), func(ctx context.Context, tx *ent.Tx) error {
			a, err := tx.Account.Lock(ctx, id)
			require.NoError(t, err)
			assert.Equal(t, "ann", a.Owner)

			require.NoError(t, b.Atomic(ent.NewTxContext(ctx, nil), func(ctx context.Context, other *ent.Tx) error {
				_, err := other.Account.Lock(ctx, free, entsql.WithLockAction(entsql.NoWait))
				assert.NoError(t, err, "other rows are free")
				_, err = other.Account.Lock(ctx, id, entsql.WithLockAction(entsql.SkipLocked))
				assert.True(t, ent.IsNotFound(err), err)
				return nil
			}))
			assert.Regexp(t, "(?i)lock", b.Atomic(ent.NewTxContext(ctx, nil), func(ctx context.Context, other *ent.Tx) error {
				_, err := other.Account.Lock(ctx, id, entsql.WithLockAction(entsql.NoWait))
				return err
			}))
			go func() {
				held <- b.Atomic(context.WithoutCancel(ent.NewTxContext(ctx, nil)), func(ctx context.Context, other *ent.Tx) error {
					a, err := other.Account.Lock(ctx, id)
					if err != nil {
						return err
					}
					return a.Update().SetBalance(a.Balance + 1).Exec(ctx)
				})
			}()
			return a.Update().SetBalance(a.Balance + 1).Exec(ctx)
		})
		require.NoError(t, err)
		require.NoError(t, <-held)
		assert.Equal(t, 2, b.balance(t, id), "the second one saw what the first had done")
	})
}

func TestLockOfTables(t *testing.T) {
	t.Parallel()
	testdb.On(t, []testdb.Kind{testdb.PostgreSQL, testdb.PGX}, func(t *testing.T, db *testdb.DB) {
		b := open(t, db)
		id := b.account(t, "ann").ID
		require.NoError(t, b.Atomic(ctx(t), func(ctx context.Context, tx *ent.Tx) error {
			_, err := tx.Account.Lock(ctx, id, entsql.WithLockTables("accounts"))
			return err
		}))
	})
}

func TestLockReadsOnEveryDatabase(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bank) {
		id := b.account(t, "ann").ID
		require.NoError(t, b.Atomic(ctx(t), func(ctx context.Context, tx *ent.Tx) error {
			a, err := tx.Account.Lock(ctx, id, entsql.WithLockAction(entsql.NoWait))
			require.NoError(t, err)
			assert.Equal(t, "ann", a.Owner)
			_, err = tx.Account.Lock(ctx, id+1)
			assert.True(t, ent.IsNotFound(err), err)
			s := tx.MoneyMoved.Create().SetNumber(1).SaveX(ctx)
			_, err = tx.MoneyMoved.Lock(ctx, s.ID)
			return err
		}))
	})
}

func TestLockOutsideOfATransactionIsRefused(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bank) {
		id := b.account(t, "ann").ID
		for _, client := range []*ent.Client{b.Client, b.Debug()} {
			_, err := client.Account.Lock(ctx(t), id)
			assert.ErrorIs(t, err, entsignal.ErrNoTx)
		}
		// A transaction that ent doesn't know of is one too.
		tx, err := b.pool(t).BeginTx(ctx(t), &sql.TxOptions{})
		require.NoError(t, err)
		defer tx.Rollback()
		inside := ent.NewClient(ent.Driver(entsql.NewDriver(b.db.Dialect, entsql.Conn{ExecQuerier: tx})))
		_, err = inside.Account.Lock(ctx(t), id)
		require.NoError(t, err)
	})
}

// narrow is a driver that an application has put around another.
type narrow struct{ dialect.Driver }

func TestAtomicNeedsADriverThatKnowsIsolation(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bank) {
		client := ent.NewClient(ent.Driver(narrow{b.db.Driver(t)}))
		err := client.Atomic(ctx(t), func(context.Context, *ent.Tx) error { panic("not reached") })
		assert.EqualError(t, err, "entsignal: driver bank_test.narrow can't start a transaction with an isolation level; give it a method BeginTx(context.Context, *sql.TxOptions) (dialect.Tx, error)")
	})
}
