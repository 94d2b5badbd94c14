package bank_test

import (
	"context"
	"database/sql"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/integration/bank/ent"
	"github.com/entsignal/signalbus/integration/internal/testdb"
)

// create is a procedure that is called alone and within others.
func (b *bank) create(ctx context.Context, owner string) error {
	return b.Atomic(ctx, func(ctx context.Context, tx *ent.Tx) error {
		return tx.Account.Create().SetOwner(owner).Exec(ctx)
	})
}

func TestInnerAtomicJoinsTheOuterTransaction(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bank) {
		err := b.Atomic(ctx(t), func(ctx context.Context, outer *ent.Tx) error {
			err := b.Atomic(ctx, func(ctx context.Context, tx *ent.Tx) error {
				assert.Same(t, outer, tx)
				assert.Same(t, outer, ent.TxFromContext(ctx))
				tx.MoneyMoved.Create().SetNumber(1).ExecX(ctx)
				return b.create(ctx, "ann")
			})
			require.NoError(t, err)
			assert.Empty(t, b.moved.Keys(), "nothing is sent before the outer commit")
			return errBusiness
		})
		assert.Equal(t, errBusiness, err)
		assert.Zero(t, b.Account.Query().CountX(ctx(t)))
		assert.Empty(t, b.moved.Keys())
	})
}

func TestErrorOfAnInnerAtomicIsTheOutersToJudge(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bank) {
		tries := 0
		err := b.Atomic(ctx(t), func(ctx context.Context, tx *ent.Tx) error {
			tries++
			return b.Atomic(ctx, func(ctx context.Context, tx *ent.Tx) error {
				if tries < 3 {
					return entsignal.ErrSerialization
				}
				return nil
			})
		}, quick)
		require.NoError(t, err)
		assert.Equal(t, 3, tries, "the outer one runs again, not the inner one")

		err = b.Atomic(ctx(t), func(ctx context.Context, tx *ent.Tx) error {
			inner := b.Atomic(ctx, func(ctx context.Context, tx *ent.Tx) error {
				tx.Account.Create().SetOwner("ann").ExecX(ctx)
				return errBusiness
			})
			assert.Equal(t, errBusiness, inner)
			return nil
		})
		require.NoError(t, err)
		assert.Equal(t, 1, b.Account.Query().CountX(ctx(t)))
	})
}

func TestAtomicJoinsTheTransactionOfItsContextOrClient(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bank) {
		tx, err := b.Tx(ctx(t))
		require.NoError(t, err)
		c := ent.NewTxContext(ctx(t), tx)
		require.NoError(t, b.create(c, "by context"))
		for owner, client := range map[string]*ent.Client{"by client": tx.Client(), "by debug client": tx.Client().Debug()} {
			require.NoError(t, client.Atomic(ctx(t), func(ctx context.Context, tx *ent.Tx) error {
				tx.MoneyMoved.Create().SetNumber(1).ExecX(ctx)
				return tx.Account.Create().SetOwner(owner).Exec(ctx)
			}))
		}
		require.NoError(t, tx.Rollback())
		assert.Zero(t, b.Account.Query().CountX(ctx(t)))
		assert.Empty(t, b.moved.Keys())
	})
}

func TestAtomicOfATransactionalClientJoinsTheAtomicAroundIt(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bank) {
		err := b.Atomic(ctx(t), func(ctx context.Context, outer *ent.Tx) error {
			return outer.Client().Atomic(ctx, func(ctx context.Context, tx *ent.Tx) error {
				assert.Same(t, outer, tx)
				return nil
			})
		})
		require.NoError(t, err)
	})
}

func TestJoinedCallCantHaveAnIsolationOfItsOwn(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bank) {
		called := false
		err := b.Atomic(ctx(t), func(ctx context.Context, tx *ent.Tx) error {
			return b.Atomic(ctx, func(context.Context, *ent.Tx) error {
				called = true
				return nil
			}, entsignal.Isolation(sql.LevelSerializable))
		})
		assert.EqualError(t, err, "entsignal: Isolation(Serializable) in a call that joins an open transaction; only the call that begins it can set its isolation")
		assert.False(t, called)
	})
}

func TestAtomicOfAnotherClientDoesNotJoin(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bank) {
		other := open(t, testdb.New(t, b.db.Kind))
		err := b.Atomic(ctx(t), func(ctx context.Context, ours *ent.Tx) error {
			return other.Atomic(ctx, func(ctx context.Context, theirs *ent.Tx) error {
				assert.NotSame(t, ours, theirs)
				theirs.Account.Create().SetOwner("ann").ExecX(ctx)
				// Their transaction hides ours, which is open all the same.
				return b.Atomic(ctx, func(ctx context.Context, tx *ent.Tx) error {
					assert.Same(t, ours, tx)
					assert.Same(t, ours, ent.TxFromContext(ctx))
					return nil
				})
			})
		})
		require.NoError(t, err)
		assert.Equal(t, 1, other.Account.Query().CountX(ctx(t)))
		assert.Zero(t, b.Account.Query().CountX(ctx(t)))
	})
}

func TestContextThatOutlivesItsTransactionDoesNotJoinIt(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bank) {
		for owner, end := range map[string]error{"after a commit": nil, "after a rollback": errBusiness} {
			var late context.Context
			err := b.Atomic(ctx(t), func(ctx context.Context, tx *ent.Tx) error {
				late = ctx
				return end
			})
			require.Equal(t, end, err)
			require.NoError(t, b.create(late, owner))
		}
		assert.Equal(t, 2, b.Account.Query().CountX(ctx(t)))
	})
}

func TestContextWithoutTheTransactionDoesNotJoinIt(t *testing.T) {
	t.Parallel()
	testdb.On(t, []testdb.Kind{testdb.PostgreSQL, testdb.PGX, testdb.MariaDB}, func(t *testing.T, db *testdb.DB) {
		b := open(t, db)
		err := b.Atomic(ctx(t), func(ctx context.Context, _ *ent.Tx) error {
			require.NoError(t, b.create(ent.NewTxContext(ctx, nil), "ann"))
			return errBusiness
		})
		assert.Equal(t, errBusiness, err)
		assert.Equal(t, 1, b.Account.Query().CountX(ctx(t)))
	})
}

func TestCommitWaitsForAnInnerAtomicInAnotherGoroutine(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bank) {
		var (
			joined   = make(chan struct{})
			returned = make(chan struct{})
			inner    = make(chan error, 1)
		)
		err := b.Atomic(ctx(t), func(ctx context.Context, tx *ent.Tx) error {
			go func() {
				inner <- b.Atomic(ctx, func(ctx context.Context, tx *ent.Tx) error {
					close(joined)
					<-returned
					return tx.Account.Create().SetOwner("ann").Exec(ctx)
				})
			}()
			<-joined
			defer close(returned)
			return nil
		})
		require.NoError(t, err)
		require.NoError(t, <-inner)
		assert.Equal(t, 1, b.Account.Query().CountX(ctx(t)))
	})
}

func TestCommitDoesNotWaitLongerThanItsContext(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bank) {
		var (
			joined    = make(chan struct{})
			release   = make(chan struct{})
			inner     = make(chan error, 1)
			c, cancel = context.WithCancel(ctx(t))
		)
		err := b.Atomic(c, func(ctx context.Context, tx *ent.Tx) error {
			tx.Account.Create().SetOwner("ann").ExecX(ctx)
			go func() {
				inner <- b.Atomic(ctx, func(context.Context, *ent.Tx) error {
					close(joined)
					<-release
					return nil
				})
			}()
			<-joined
			cancel()
			return nil
		})
		assert.ErrorIs(t, err, context.Canceled)
		close(release)
		require.NoError(t, <-inner)
		assert.Zero(t, b.Account.Query().CountX(ctx(t)))
	})
}

func TestSendersWorkOutsideOfTheTransaction(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bank) {
		var seen []string
		b.moved.Before(func(ctx context.Context, _ []*ent.MoneyMoved) error {
			assert.Nil(t, ent.TxFromContext(ctx))
			// What the application has put into its context works still.
			n, err := ent.FromContext(ctx).Account.Query().Count(ctx)
			assert.NoError(t, err)
			assert.Equal(t, 1, n)
			seen = append(seen, "sent")
			return b.Atomic(ctx, func(ctx context.Context, tx *ent.Tx) error {
				_, err := tx.Account.Query().Count(ctx)
				return err
			})
		})
		tx, err := b.Tx(ctx(t))
		require.NoError(t, err)
		c := ent.NewContext(ent.NewTxContext(ctx(t), tx), tx.Client())
		tx.Account.Create().SetOwner("ann").ExecX(c)
		require.NoError(t, tx.Commit())

		_, err = b.Client.MoneyMoved.Create().SetNumber(1).Save(c)
		require.NoError(t, err)
		require.NoError(t, b.Atomic(ent.NewContext(ctx(t), b.Client), func(ctx context.Context, tx *ent.Tx) error {
			return tx.MoneyMoved.Create().SetNumber(2).Exec(ent.NewContext(ctx, tx.Client()))
		}))
		assert.Equal(t, []string{"sent", "sent"}, seen)
		assert.Equal(t, []int{1, 2}, b.moved.Keys())
	})
}
