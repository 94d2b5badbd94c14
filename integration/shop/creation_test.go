package shop_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/integration/internal/testdb"
	"github.com/entsignal/signalbus/integration/shop/ent"
	"github.com/entsignal/signalbus/integration/shop/ent/hook"
	"github.com/entsignal/signalbus/integration/shop/ent/userjoined"
)

// order returns a builder that the paths share.
func order(c *ent.OrderPlacedClient, number int) *ent.OrderPlacedCreate {
	return c.Create().SetNumber(number)
}

// creations are the ways in which ent creates rows within a transaction.
var creations = map[string]struct {
	create func(ctx context.Context, t *testing.T, tx *ent.Tx)
	want   []int
}{
	"Create": {func(ctx context.Context, t *testing.T, tx *ent.Tx) {
		order(tx.OrderPlaced, 1).SaveX(ctx)
		order(tx.OrderPlaced, 2).ExecX(ctx)
	}, numbers(2)},
	"tx.Client": {func(ctx context.Context, t *testing.T, tx *ent.Tx) {
		order(tx.Client().OrderPlaced, 1).SaveX(ctx)
	}, numbers(1)},
	"TxFromContext": {func(ctx context.Context, t *testing.T, tx *ent.Tx) {
		order(ent.TxFromContext(ent.NewTxContext(ctx, tx)).OrderPlaced, 1).SaveX(ctx)
	}, numbers(1)},
	"Debug of the transaction": {func(ctx context.Context, t *testing.T, tx *ent.Tx) {
		order(tx.Client().Debug().OrderPlaced, 1).SaveX(ctx)
		order(tx.OrderPlaced, 2).SaveX(ctx)
	}, numbers(2)},
	"a transaction in the transaction": {func(ctx context.Context, t *testing.T, tx *ent.Tx) {
		inner, err := tx.Client().Debug().Tx(ctx)
		require.NoError(t, err)
		order(inner.OrderPlaced, 1).SaveX(ctx)
		require.NoError(t, inner.Commit()) // a no-op of ent's
	}, numbers(1)},
	"CreateBulk": {func(ctx context.Context, t *testing.T, tx *ent.Tx) {
		order(tx.OrderPlaced, 1).SaveX(ctx)
		tx.OrderPlaced.CreateBulk(order(tx.OrderPlaced, 2), order(tx.OrderPlaced, 3), order(tx.OrderPlaced, 4)).SaveX(ctx)
		order(tx.OrderPlaced, 5).SaveX(ctx)
	}, numbers(5)},
	"CreateBulk of one": {func(ctx context.Context, t *testing.T, tx *ent.Tx) {
		tx.OrderPlaced.CreateBulk(order(tx.OrderPlaced, 1)).SaveX(ctx)
	}, numbers(1)},
	"CreateBulk of none": {func(ctx context.Context, t *testing.T, tx *ent.Tx) {
		tx.OrderPlaced.CreateBulk().SaveX(ctx)
	}, nil},
	"MapCreateBulk": {func(ctx context.Context, t *testing.T, tx *ent.Tx) {
		tx.OrderPlaced.MapCreateBulk([]int{1, 2, 3}, func(c *ent.OrderPlacedCreate, i int) { c.SetNumber(i + 1) }).SaveX(ctx)
	}, numbers(3)},
	"an entity of the transaction": {func(ctx context.Context, t *testing.T, tx *ent.Tx) {
		o := order(tx.OrderPlaced, 1).SaveX(ctx)
		o.Update().SetNumber(7).SaveX(ctx) // sent as it is at the commit
	}, []int{7}},
	"deleted again": {func(ctx context.Context, t *testing.T, tx *ent.Tx) {
		tx.OrderPlaced.DeleteOne(order(tx.OrderPlaced, 1).SaveX(ctx)).ExecX(ctx)
		order(tx.OrderPlaced, 2).SaveX(ctx)
	}, []int{2}},
	"deleted again, all": {func(ctx context.Context, t *testing.T, tx *ent.Tx) {
		tx.OrderPlaced.DeleteOne(order(tx.OrderPlaced, 1).SaveX(ctx)).ExecX(ctx)
	}, nil},
	"first in a commit hook": {func(ctx context.Context, t *testing.T, tx *ent.Tx) {
		order(tx.OrderPlaced, 1).SaveX(ctx)
		tx.OnCommit(func(next ent.Committer) ent.Committer {
			return ent.CommitFunc(func(ctx context.Context, tx *ent.Tx) error {
				order(tx.OrderPlaced, 2).SaveX(ctx)
				return next.Commit(ctx, tx)
			})
		})
	}, numbers(2)},
}

func TestEachWayToCreateInATransactionSendsOnceAndInOrder(t *testing.T) {
	t.Parallel()
	for name, path := range creations {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testdb.On(t, []testdb.Kind{testdb.PostgreSQL, testdb.MariaDB, testdb.SQLite}, func(t *testing.T, db *testdb.DB) {
				s := open(t, db)
				tx, err := s.Tx(ctx(t))
				require.NoError(t, err)
				path.create(ctx(t), t, tx)
				assert.Empty(t, s.orders.Keys(), "sent before the commit")
				require.NoError(t, tx.Commit())
				assert.Equal(t, path.want, s.orders.Keys())
				assert.Zero(t, s.pending(t, "OrderPlaced"))
				assert.Empty(t, s.errors.all())
			})
		})
	}
}

func TestEachWayToCreateOutsideATransactionSendsOnce(t *testing.T) {
	t.Parallel()
	testdb.On(t, []testdb.Kind{testdb.PostgreSQL, testdb.MariaDB, testdb.SQLite}, func(t *testing.T, db *testdb.DB) {
		s := open(t, db)
		order(s.OrderPlaced, 1).SaveX(ctx(t))
		assert.Equal(t, numbers(1), s.orders.Keys(), "not sent at once")
		order(s.Debug().OrderPlaced, 2).SaveX(ctx(t))
		s.OrderPlaced.CreateBulk(order(s.OrderPlaced, 3), order(s.OrderPlaced, 4)).SaveX(ctx(t))
		assert.Equal(t, numbers(4), s.orders.Keys())
		assert.Len(t, s.orders.Batches(), 3)
		assert.Zero(t, s.pending(t, "OrderPlaced"))
	})
}

// The client of a bulk's mutation has the config of that mutation.
func TestSignalThatAHookOfABulkCreatesIsNotOfTheBulk(t *testing.T) {
	testdb.On(t, []testdb.Kind{testdb.PostgreSQL, testdb.MariaDB, testdb.SQLite}, func(t *testing.T, db *testdb.DB) {
		s := open(t, db)
		s.OrderPlaced.Use(func(next ent.Mutator) ent.Mutator {
			return hook.OrderPlacedFunc(func(ctx context.Context, m *ent.OrderPlacedMutation) (ent.Value, error) {
				v, err := next.Mutate(ctx, m)
				if n, _ := m.Number(); err == nil && n < 10 {
					order(m.Client().OrderPlaced, n+10).ExecX(ctx)
				}
				return v, err
			})
		})
		s.OrderPlaced.CreateBulk(order(s.OrderPlaced, 1), order(s.OrderPlaced, 2)).ExecX(ctx(t))
		var batches [][]int
		for _, b := range s.orders.Batches() {
			var numbers []int
			for _, o := range b.Signals {
				numbers = append(numbers, o.Number)
			}
			batches = append(batches, numbers)
		}
		assert.Equal(t, [][]int{{12}, {11}, {1, 2}}, batches)
		assert.Zero(t, s.pending(t, "OrderPlaced"))
		assert.Empty(t, s.errors.all())
	})
}

func TestIDsOfAllTypesAreSentInTheOrderOfTheirCreation(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		s := open(t, db)
		s.inTx(t, func(tx *ent.Tx) {
			for i := range 3 {
				tx.UserJoined.Create().SetNumber(i + 1).SaveX(ctx(t))
				tx.BadgeGiven.Create().SetNumber(i + 1).SaveX(ctx(t))
				tx.TicketOpened.Create().SetID(fmt.Sprintf("T-%d", 9-i)).SetNumber(i + 1).SaveX(ctx(t))
			}
			tx.UserJoined.MapCreateBulk([]int{4, 5, 6}, func(c *ent.UserJoinedCreate, i int) { c.SetNumber(i + 4) }).ExecX(ctx(t))
		})
		assert.Equal(t, numbers(6), s.users.Keys())
		assert.Equal(t, numbers(3), s.badges.Keys())
		assert.Equal(t, numbers(3), s.tickets.Keys())
		assert.Equal(t, "T-9", s.tickets.Batches()[0].Items[0].ID)
		assert.True(t, strings.HasPrefix(s.badges.Batches()[0].Items[0].ID, "BADGE-"))
		assert.Empty(t, s.errors.all())
	})
}

func TestUpsertSendsEachStoredRowOnce(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		s := open(t, db)
		join := func(c *ent.Client, number int) *ent.UserJoinedUpsertOne {
			return c.UserJoined.Create().SetNumber(number).SetEmail("ada@example.org").
				OnConflict(entsql.ConflictColumns(userjoined.FieldEmail)).UpdateNumber()
		}
		s.bus.SetAutoFlush(false)
		require.NoError(t, join(s.Client, 1).Exec(ctx(t)))
		s.bus.SetAutoFlush(true)
		s.inTx(t, func(tx *ent.Tx) { require.NoError(t, join(tx.Client(), 2).Exec(ctx(t))) })
		// On MySQL ent reports an id that was never stored: the row waits.
		_, err := s.bus.Flush(ctx(t), entsignal.Wait(0))
		require.NoError(t, err)
		assert.Equal(t, []int{2}, s.users.Keys())
		assert.Zero(t, s.pending(t, "UserJoined"))
		assert.Empty(t, s.errors.all())
	})
}

func TestBulkThatIgnoresConflictsSendsWhatIsStored(t *testing.T) {
	t.Parallel()
	testdb.On(t, []testdb.Kind{testdb.PostgreSQL, testdb.MariaDB, testdb.SQLite}, func(t *testing.T, db *testdb.DB) {
		s := open(t, db)
		id := uuid.New()
		s.bus.SetAutoFlush(false)
		s.UserJoined.Create().SetID(id).SetNumber(1).SetEmail("ada@example.org").SaveX(ctx(t))
		s.bus.SetAutoFlush(true)
		s.inTx(t, func(tx *ent.Tx) {
			require.NoError(t, tx.UserJoined.CreateBulk(
				tx.UserJoined.Create().SetNumber(2).SetEmail("ada@example.org"),
				tx.UserJoined.Create().SetNumber(3).SetEmail("bob@example.org"),
			).OnConflict(entsql.ConflictColumns(userjoined.FieldEmail)).Ignore().Exec(ctx(t)))
		})
		_, err := s.bus.Flush(ctx(t), entsignal.Wait(0))
		require.NoError(t, err)
		assert.ElementsMatch(t, []int{1, 3}, s.users.Keys())
		assert.Empty(t, s.errors.all())
	})
}

func TestRejectedCreationIsNotSent(t *testing.T) {
	t.Parallel()
	testdb.On(t, []testdb.Kind{testdb.SQLite}, func(t *testing.T, db *testdb.DB) {
		s := open(t, db)
		s.OrderPlaced.Use(func(next ent.Mutator) ent.Mutator {
			return ent.MutateFunc(func(ctx context.Context, m ent.Mutation) (ent.Value, error) {
				if n, _ := m.(*ent.OrderPlacedMutation).Number(); n == 2 {
					return nil, errors.New("no")
				}
				return next.Mutate(ctx, m)
			})
		})
		s.inTx(t, func(tx *ent.Tx) {
			order(tx.OrderPlaced, 1).SaveX(ctx(t))
			require.Error(t, order(tx.OrderPlaced, 2).Exec(ctx(t)))
			require.Error(t, tx.OrderPlaced.CreateBulk(order(tx.OrderPlaced, 3), order(tx.OrderPlaced, 2)).Exec(ctx(t)))
		})
		assert.Equal(t, []int{1}, s.orders.Keys())
	})
}

func TestTransactionThatEntDoesNotKnowLeavesItsSignalsPending(t *testing.T) {
	t.Parallel()
	testdb.On(t, []testdb.Kind{testdb.PostgreSQL, testdb.MariaDB, testdb.SQLite}, func(t *testing.T, db *testdb.DB) {
		s := open(t, db)
		bus, err := ent.NewSignalBus(s.senders)
		require.NoError(t, err)
		pool := db.Open(t)
		raw, err := pool.Begin()
		require.NoError(t, err)
		foreign := ent.NewClient(ent.Driver(entsql.NewDriver(db.Dialect, entsql.Conn{ExecQuerier: raw})), ent.WithSignalBus(bus))
		order(foreign.OrderPlaced, 1).SaveX(ctx(t))
		assert.Empty(t, s.orders.Keys(), "sent before the commit")
		require.NoError(t, raw.Commit())
		n, err := s.bus.Flush(ctx(t), entsignal.Wait(0))
		require.NoError(t, err)
		assert.Equal(t, 1, n)
	})
}

func TestRowsOfOtherWritersAreFlushed(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		s := open(t, db)
		_, err := db.Open(t).Exec("INSERT INTO order_placeds (number, customer) VALUES (1, 'raw')")
		require.NoError(t, err)
		n, err := s.bus.Flush(ctx(t), entsignal.Wait(0))
		require.NoError(t, err)
		assert.Equal(t, 1, n)
		assert.Equal(t, []int{1}, s.orders.Keys())
	})
}

func TestWrappedDriver(t *testing.T) {
	t.Parallel()
	testdb.On(t, []testdb.Kind{testdb.PostgreSQL, testdb.SQLite}, func(t *testing.T, db *testdb.DB) {
		s := open(t, db)
		peer := newShop(t)
		bus, err := ent.NewSignalBus(peer.senders)
		require.NoError(t, err)
		client := ent.NewClient(ent.Driver(commented{Driver: db.Driver(t), tags: map[string]string{}}), ent.WithSignalBus(bus))
		tx, err := client.Tx(ctx(t))
		require.NoError(t, err)
		order(tx.OrderPlaced, 1).SaveX(ctx(t))
		require.NoError(t, tx.Commit())
		assert.Equal(t, []int{1}, peer.orders.Keys())
		order(client.OrderPlaced, 2).SaveX(ctx(t))
		assert.Equal(t, []int{1}, peer.orders.Keys(), "it may be no pool")
		assert.Equal(t, 1, s.pending(t, "OrderPlaced"))
	})
}

// commented is a driver as tracing libraries wrap it; it can't be compared.
type commented struct {
	dialect.Driver
	tags map[string]string
}

func (c commented) BeginTx(ctx context.Context, opts *entsql.TxOptions) (dialect.Tx, error) {
	return c.Driver.(*entsql.Driver).BeginTx(ctx, opts)
}
