package shop_test

import (
	"database/sql"
	"testing"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/integration/internal/testdb"
	"github.com/entsignal/signalbus/integration/shop/ent"
)

// PostgreSQL stores no NUL in a text: who records the signal is told, and
// nothing of the transaction is sent.
func TestTextThatTheDatabaseRefusesFailsItsTransaction(t *testing.T) {
	t.Parallel()
	testdb.On(t, []testdb.Kind{testdb.PostgreSQL, testdb.PGX}, func(t *testing.T, db *testdb.DB) {
		s := open(t, db)
		tx, err := s.Tx(ctx(t))
		require.NoError(t, err)
		order(tx.OrderPlaced, 1).ExecX(ctx(t))
		require.ErrorContains(t, order(tx.OrderPlaced, 2).SetCustomer("a\x00b").Exec(ctx(t)), "invalid byte sequence")
		require.Error(t, tx.Commit())
		assert.Empty(t, s.orders.Keys())
		assert.Zero(t, s.pending(t, "OrderPlaced"))
		assert.Empty(t, s.errors.all())
	})
}

// Each connection to a database in memory has one of its own: the second one
// finds no table, which is an error and never silence.
func TestSecondConnectionToADatabaseInMemoryIsAnError(t *testing.T) {
	t.Parallel()
	pool, err := sql.Open("sqlite", "file::memory:?_pragma=foreign_keys(1)")
	require.NoError(t, err)
	defer pool.Close()
	s := newShop(t)
	bus, err := ent.NewSignalBus(s.senders)
	require.NoError(t, err)
	client := ent.NewClient(ent.Driver(entsql.OpenDB(dialect.SQLite, pool)), ent.WithSignalBus(bus))
	require.NoError(t, client.Schema.Create(ctx(t)))
	order(client.OrderPlaced, 1).ExecX(ctx(t))
	assert.Equal(t, []int{1}, s.orders.Keys())

	first, err := pool.Conn(ctx(t)) // now the pool opens another one
	require.NoError(t, err)
	defer first.Close()
	_, err = client.OrderPlaced.FlushMany(ctx(t))
	require.ErrorContains(t, err, "no such table")
	require.NoError(t, bus.Close(ctx(t)))
}
