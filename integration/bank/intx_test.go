package bank_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/integration/bank/ent"
)

func TestInTxReturnsEntitiesThatOutliveTheTransaction(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bank) {
		a, err := ent.InTx(ctx(t), b.Client, func(ctx context.Context, tx *ent.Tx) (*ent.Account, error) {
			a := tx.Account.Create().SetOwner("ann").SaveX(ctx)
			tx.Entry.CreateBulk(tx.Entry.Create().SetAmount(1).SetAccount(a), tx.Entry.Create().SetAmount(2).SetAccount(a)).ExecX(ctx)
			return tx.Account.Query().WithEntries().Only(ctx)
		})
		require.NoError(t, err)
		require.NoError(t, a.Update().SetBalance(3).Exec(ctx(t)))
		require.Len(t, a.Edges.Entries, 2)
		for _, e := range a.Edges.Entries {
			require.NoError(t, e.Update().AddAmount(1).Exec(ctx(t)), "what was loaded with it works too")
		}
	})
}

func TestInTxUnwrapsSlices(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bank) {
		all, err := ent.InTx(ctx(t), b.Client, func(ctx context.Context, tx *ent.Tx) ([]*ent.Account, error) {
			a := tx.Account.Create().SetOwner("ann").SaveX(ctx)
			return []*ent.Account{a, nil, a, tx.Client().Debug().Account.GetX(ctx, a.ID)}, nil
		})
		require.NoError(t, err)
		for _, i := range []int{0, 2, 3} {
			require.NoError(t, all[i].Update().AddBalance(1).Exec(ctx(t)))
		}
		assert.Equal(t, 3, b.balance(t, all[0].ID))
	})
}

func TestInTxReturnsAnyValue(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bank) {
		n, err := ent.InTx(ctx(t), b.Client, func(context.Context, *ent.Tx) (int, error) { return 7, nil })
		require.NoError(t, err)
		assert.Equal(t, 7, n)

		n, err = ent.InTx(ctx(t), b.Client, func(context.Context, *ent.Tx) (int, error) { return 7, errBusiness })
		assert.Equal(t, errBusiness, err)
		assert.Zero(t, n)

		outside := b.account(t, "ann")
		for _, v := range []any{nil, (*ent.Account)(nil), outside, []any{outside, nil}} {
			got, err := ent.InTx(ctx(t), b.Client, func(context.Context, *ent.Tx) (any, error) { return v, nil })
			require.NoError(t, err)
			assert.Equal(t, v, got)
		}
		require.NoError(t, outside.Update().SetBalance(1).Exec(ctx(t)))
	})
}

func TestJoinedInTxLeavesItsEntitiesInTheTransaction(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, b *bank) {
		a, err := ent.InTx(ctx(t), b.Client, func(ctx context.Context, _ *ent.Tx) (*ent.Account, error) {
			a, err := ent.InTx(ctx, b.Client, func(ctx context.Context, tx *ent.Tx) (*ent.Account, error) {
				return tx.Account.Create().SetOwner("ann").Save(ctx)
			})
			require.NoError(t, err)
			// Outside of the transaction the row couldn't be seen.
			return a.Update().SetBalance(1).Save(ctx)
		})
		require.NoError(t, err)
		assert.Equal(t, 1, b.balance(t, a.ID))
		require.NoError(t, a.Update().SetBalance(2).Exec(ctx(t)))
	})
}
