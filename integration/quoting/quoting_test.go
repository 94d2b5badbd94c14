// Package quoting holds that the names of tables and columns are quoted in
// every statement: those of its schema are SQL.
package quoting

import (
	"context"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/entsignal/entsignaltest"
	"github.com/entsignal/signalbus/integration/internal/recorder"
	"github.com/entsignal/signalbus/integration/internal/testdb"
	"github.com/entsignal/signalbus/integration/quoting/ent"
	"github.com/entsignal/signalbus/integration/quoting/ent/orderplaced"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestNamesThatAreSQLAreQuoted(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		senders, outbox := entsignaltest.Senders[ent.SignalSenders](t)
		sent := recorder.New(outbox, func(s *ent.OrderPlaced) int { return s.Number })
		bus, err := ent.NewSignalBus(senders,
			entsignal.WithErrorHandler(func(_ context.Context, err error) { assert.NoError(t, err, "autoflush") }))
		require.NoError(t, err)
		client := ent.NewClient(ent.Driver(db.Driver(t)), ent.WithSignalBus(bus))
		pool := db.Open(t)
		for _, statement := range []string{"CREATE TABLE victims (id int)", "INSERT INTO victims VALUES (1)"} {
			_, err := pool.ExecContext(ctx(t), statement)
			require.NoError(t, err)
		}
		create(t, db, client)
		record := func(numbers ...int) {
			t.Helper()
			outbox.Reset()
			tx, err := client.Tx(ctx(t))
			require.NoError(t, err)
			for _, n := range numbers {
				tx.OrderPlaced.Create().SetNumber(n).SetCustomer("Ada").ExecX(ctx(t))
			}
			require.NoError(t, tx.Commit())
		}
		record(1, 2)
		assert.Equal(t, []int{1, 2}, sent.Keys(), "the autoflush")

		bus.SetAutoFlush(false)
		for name, flush := range map[string]struct {
			run  func() (int, error)
			want []int
		}{
			"flush":        {func() (int, error) { return bus.Flush(ctx(t), entsignal.Wait(0)) }, []int{1, 3, 2}},
			"flushmany":    {func() (int, error) { return bus.FlushMany(ctx(t), entsignal.Burst(2)) }, []int{1, 3, 2}},
			"flushordered": {func() (int, error) { return bus.FlushOrdered(ctx(t), entsignal.Burst(2)) }, []int{3, 2, 1}},
		} {
			record(1, 3, 2)
			pending, err := bus.Pending(ctx(t))
			require.NoError(t, err, name)
			assert.Equal(t, []entsignal.PendingCount{{Name: "OrderPlaced", Count: 3}}, pending, name)
			n, err := flush.run()
			require.NoError(t, err, name)
			assert.Equal(t, 3, n, name)
			assert.Equal(t, flush.want, sent.Keys(), name)
		}

		record(1, 2, 3)
		entsignaltest.FailWhere(outbox, func(s *ent.OrderPlaced) error {
			if s.Number == 2 {
				return assert.AnError
			}
			return nil
		})
		n, err := client.OrderPlaced.Send(ctx(t), client.OrderPlaced.Query().AllX(ctx(t))...)
		require.ErrorIs(t, err, assert.AnError)
		assert.Equal(t, 2, n, "a batch that is sent in part")
		left := client.OrderPlaced.Query().OnlyX(ctx(t))
		assert.Equal(t, 2, left.Number)
		require.NoError(t, client.Atomic(ctx(t), func(ctx context.Context, tx *ent.Tx) error {
			_, err := tx.OrderPlaced.Lock(ctx, left.ID)
			return err
		}))

		var victims int
		require.NoError(t, pool.QueryRowContext(ctx(t), "SELECT count(*) FROM victims").Scan(&victims))
		assert.Equal(t, 1, victims)
	})
}

// The names that the bus works with are those, and not tamed ones.
func TestNamesOfTheSchemaAreSQL(t *testing.T) {
	t.Parallel()
	assert.Equal(t, "delete from victims -- für", orderplaced.Table)
	assert.Equal(t, "id = 1 OR 1 = 1; --", orderplaced.FieldID)
	assert.Equal(t, "number DESC; DELETE FROM victims; --", orderplaced.FieldNumber)
	assert.Equal(t, "für $1 ? %s ':name'", orderplaced.FieldCustomer)
}

func create(t *testing.T, db *testdb.DB, client *ent.Client) {
	t.Helper()
	db.CreateTables(t, func(w io.Writer) error { return client.Schema.WriteTo(ctx(t), w) })
}

// ctx returns a context that ends a test that hangs.
func ctx(t testing.TB) context.Context {
	c, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	t.Cleanup(cancel)
	return c
}
