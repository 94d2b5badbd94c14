package ids_test

import (
	"context"
	"testing"

	"entgo.io/ent/dialect"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/integration/ids/ent"
	"github.com/entsignal/signalbus/integration/ids/kinds"
	"github.com/entsignal/signalbus/integration/internal/testdb"
)

// keyed are the types with a key, each with what creates the signals with these
// numbers: the key is the rest of the number's division by 3.
var keyed = map[string]func(ctx context.Context, c *ent.Client, numbers []int) error{
	ent.TypeKeyedByRef: func(ctx context.Context, c *ent.Client, numbers []int) error {
		return c.KeyedByRef.MapCreateBulk(numbers, func(b *ent.KeyedByRefCreate, i int) {
			b.SetNumber(numbers[i]).SetRef(kinds.RefOf(numbers[i] % 3))
		}).Exec(ctx)
	},
	ent.TypeLockedByRef: func(ctx context.Context, c *ent.Client, numbers []int) error {
		if err := c.LockedByRef.Create().SetNumber(numbers[0]).SetRef(kinds.RefOf(numbers[0] % 3)).Exec(ctx); err != nil {
			return err
		}
		return c.LockedByRef.MapCreateBulk(numbers[1:], func(b *ent.LockedByRefCreate, i int) {
			b.SetNumber(numbers[i+1]).SetRef(kinds.RefOf(numbers[i+1] % 3))
		}).Exec(ctx)
	},
	ent.TypeKeyedByCode: func(ctx context.Context, c *ent.Client, numbers []int) error {
		return c.KeyedByCode.MapCreateBulk(numbers, func(b *ent.KeyedByCodeCreate, i int) {
			b.SetNumber(numbers[i]).SetCode(kinds.CodeOf(string(rune('a' + numbers[i]%3))))
		}).Exec(ctx)
	},
	ent.TypeKeyedByUUID: func(ctx context.Context, c *ent.Client, numbers []int) error {
		keys := []kinds.UUID{kinds.NewUUID(), kinds.NewUUID(), kinds.NewUUID()}
		return c.KeyedByUUID.MapCreateBulk(numbers, func(b *ent.KeyedByUUIDCreate, i int) {
			b.SetNumber(numbers[i]).SetUUID(keys[numbers[i]%3])
		}).Exec(ctx)
	},
}

func TestKeysOfAnyTypeAreOrderedApart(t *testing.T) {
	t.Parallel()
	numbers := []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		a := open(t, db)
		for name, create := range keyed {
			if name == ent.TypeLockedByRef && db.Dialect == dialect.MySQL { // has no such locks
				continue
			}
			a.record(t, kind{create: create}, numbers...)
			a.sent.refusing(8)
			n, err := a.bus.FlushOrdered(ctx(t), entsignal.Only(name), entsignal.Workers(3))
			require.ErrorIs(t, err, errRefused, name)
			assert.NotContains(t, err.Error(), "{", "a key is shown as it is stored")
			assert.Equal(t, 12, n, name)
			first := a.sent.take()
			assert.ElementsMatch(t, []int{1, 4, 7, 10, 13, 2, 5, 3, 6, 9, 12, 15}, first, name)
			a.sent.refusing(0)
			n, err = a.bus.FlushOrdered(ctx(t), entsignal.Only(name))
			require.NoError(t, err, name)
			assert.Equal(t, 3, n, name)
			all := append(first, a.sent.take()...)
			for rest := range 3 {
				last := 0
				for _, number := range all {
					if number%3 == rest {
						assert.Greater(t, number, last, "%s: %v", name, all)
						last = number
					}
				}
			}
		}
	})
}

func TestFieldOfAnyTypeSorts(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		a := open(t, db)
		for _, n := range []int{3, 1, 5, 2, 4} {
			a.OrderedByRef.Create().SetNumber(n).SetRef(kinds.RefOf(n)).ExecX(ctx(t))
		}
		n, err := a.bus.FlushOrdered(ctx(t), entsignal.Only(ent.TypeOrderedByRef))
		require.NoError(t, err)
		assert.Equal(t, 5, n)
		assert.Equal(t, []int{5, 4, 3, 2, 1}, a.sent.take())
	})
}
