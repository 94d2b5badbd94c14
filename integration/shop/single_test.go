package shop_test

import (
	"context"
	"strings"
	"sync"
	"testing"

	"entgo.io/ent/dialect"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/integration/internal/testdb"
	"github.com/entsignal/signalbus/integration/shop/ent"
)

// spied returns a client of the shop's bus that notes the statements of the
// claims.
func spied(t *testing.T, db *testdb.DB) (*shop, *ent.Client, func() []string) {
	t.Helper()
	s := newShop()
	bus, err := ent.NewSignalBus(s.senders)
	require.NoError(t, err)
	var (
		mu  sync.Mutex
		all []string
	)
	driver := dialect.DebugWithContext(db.Driver(t), func(_ context.Context, line ...any) {
		mu.Lock()
		defer mu.Unlock()
		for _, word := range line {
			all = append(all, word.(string))
		}
	})
	client := ent.NewClient(ent.Driver(driver), ent.WithSignalBus(bus))
	t.Cleanup(func() { assert.NoError(t, bus.Close(ctx(t))) })
	s.db, s.bus, s.Client = db, bus, client
	s.createTables(t)
	return s, client, func() []string {
		mu.Lock()
		defer mu.Unlock()
		taken := all
		all = nil
		return taken
	}
}

func TestSingleSignalIsReadLockedAndDeletedByOneStatement(t *testing.T) {
	testdb.On(t, []testdb.Kind{testdb.PostgreSQL, testdb.PGX}, func(t *testing.T, db *testdb.DB) {
		s, client, statements := spied(t, db)
		order(client.OrderPlaced, 1).ExecX(ctx(t)) // the first claim asks for the settings, too
		statements()
		s.inTx(t, func(tx *ent.Tx) { order(tx.OrderPlaced, 2).ExecX(ctx(t)) })
		require.Equal(t, []int{1, 2}, s.orders.Keys())

		var onSignals []string
		for _, statement := range statements() {
			if strings.Contains(statement, "order_placeds") && !strings.Contains(statement, "INSERT") {
				onSignals = append(onSignals, statement)
			}
		}
		require.Len(t, onSignals, 1)
		assert.Regexp(t, `DELETE FROM "order_placeds".*SELECT.*FOR UPDATE SKIP LOCKED.*RETURNING`, onSignals[0])
	})
}

func TestSingleSignalThatAnotherTransactionHoldsIsSkipped(t *testing.T) {
	testdb.On(t, []testdb.Kind{testdb.PostgreSQL, testdb.PGX}, func(t *testing.T, db *testdb.DB) {
		s, client, _ := spied(t, db)
		s.bus.SetAutoFlush(false)
		created := order(client.OrderPlaced, 1).SaveX(ctx(t))
		holder, err := db.Open(t).BeginTx(ctx(t), nil)
		require.NoError(t, err)
		_, err = holder.Exec("UPDATE order_placeds SET number = 2")
		require.NoError(t, err)

		n, err := client.OrderPlaced.Send(ctx(t), created)
		require.NoError(t, err)
		assert.Zero(t, n)
		require.NoError(t, holder.Commit())
		n, err = client.OrderPlaced.Send(ctx(t), created)
		require.NoError(t, err)
		assert.Equal(t, 1, n)
		assert.Equal(t, []int{2}, s.orders.Keys(), "what the holder committed is sent, and not what was there before")
	})
}

func TestSingleSignalOfATableWithARuleIsSent(t *testing.T) {
	for name, rule := range map[string]string{
		"also":                    "CREATE RULE archive AS ON DELETE TO order_placeds DO ALSO INSERT INTO archive VALUES (old.number)",
		"instead, for other rows": "CREATE RULE archive AS ON DELETE TO order_placeds WHERE old.number <> 1 DO INSTEAD NOTHING",
	} {
		t.Run(name, func(t *testing.T) {
			testdb.On(t, []testdb.Kind{testdb.PostgreSQL, testdb.PGX}, func(t *testing.T, db *testdb.DB) {
				s := open(t, db)
				for _, statement := range []string{"CREATE TABLE archive (number int)", rule} {
					_, err := db.Open(t).Exec(statement)
					require.NoError(t, err)
				}
				order(s.OrderPlaced, 1).ExecX(ctx(t))
				assert.Equal(t, []int{1}, s.orders.Keys())
				assert.Zero(t, s.pending(t, "OrderPlaced"))
				assert.Empty(t, s.errors.all())
			})
		})
	}
}
