package names_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"entgo.io/ent/dialect/sql/schema"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/entsignal/entsignaltest"
	"github.com/entsignal/signalbus/integration/internal/recorder"
	"github.com/entsignal/signalbus/integration/internal/testdb"
	"github.com/entsignal/signalbus/integration/names/ent"
	"github.com/entsignal/signalbus/integration/names/ent/migrate"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// sent has what each of the senders was given.
type sent []func() []string

// types returns the types of all signals that were sent.
func (s sent) types() (types []string) {
	for _, keys := range s {
		types = append(types, keys()...)
	}
	return types
}

// typesOf returns a function that returns the type of each signal of T that was sent.
func typesOf[T any](outbox *entsignaltest.Outbox) func() []string {
	return recorder.New(outbox, func(signal T) string { return fmt.Sprintf("%T", signal) }).Keys
}

func open(t *testing.T) (*ent.Client, *entsignal.Bus, *sent) {
	t.Helper()
	senders, outbox := entsignaltest.Senders[ent.SignalSenders](t)
	s := &sent{
		typesOf[*ent.Batch](outbox),
		typesOf[*ent.Bus](outbox),
		typesOf[*ent.Context](outbox),
		typesOf[*ent.Deletion](outbox),
		typesOf[*ent.Dialect](outbox),
		typesOf[*ent.EntSignal](outbox),
		typesOf[*ent.Flush](outbox),
		typesOf[*ent.Info](outbox),
		typesOf[*ent.Model](outbox),
		typesOf[*ent.Sender](outbox),
		typesOf[*ent.Signal](outbox),
		typesOf[*ent.SignalBus](outbox),
		typesOf[*ent.SignalHooks](outbox),
	}
	bus, err := ent.NewSignalBus(senders, entsignal.WithErrorHandler(func(_ context.Context, err error) { assert.NoError(t, err, "autoflush") }))
	require.NoError(t, err)
	c := ent.NewClient(ent.Driver(testdb.New(t, testdb.SQLite).Driver(t)), ent.WithSignalBus(bus))
	tables, err := schema.CopyTables(migrate.Tables) // which a migration writes to
	require.NoError(t, err)
	require.NoError(t, migrate.Create(ctx(t), c.Schema, tables))
	return c, bus, s
}

// all are the types of which recordAll records one signal each.
var all = []string{
	"*ent.Batch", "*ent.Bus", "*ent.Context", "*ent.Deletion", "*ent.Dialect", "*ent.EntSignal", "*ent.Flush",
	"*ent.Info", "*ent.Model", "*ent.Sender", "*ent.Signal", "*ent.SignalBus", "*ent.SignalHooks",
}

// recordAll commits one signal of each type, by way of a bulk here and there.
func recordAll(t *testing.T, c *ent.Client) {
	t.Helper()
	tx, err := c.Tx(ctx(t))
	require.NoError(t, err)
	bus := tx.SignalBus.Create().SetNumber(1).SaveX(ctx(t))
	tx.Batch.Create().SetNumber(1).SetSignalBus(bus).ExecX(ctx(t))
	tx.Bus.Create().SetNumber(1).ExecX(ctx(t))
	tx.Context.Create().SetNumber(1).ExecX(ctx(t))
	tx.Deletion.Create().SetNumber(1).ExecX(ctx(t))
	tx.Dialect.CreateBulk(tx.Dialect.Create().SetNumber(1)).ExecX(ctx(t))
	tx.EntSignal.CreateBulk(tx.EntSignal.Create().SetNumber(1).AddGroup(tx.Group.Create().SaveX(ctx(t)))).ExecX(ctx(t))
	tx.Flush.Create().SetNumber(1).ExecX(ctx(t))
	tx.Info.Create().SetNumber(1).ExecX(ctx(t))
	tx.Model.Create().SetNumber(1).ExecX(ctx(t))
	tx.Sender.Create().SetNumber(1).ExecX(ctx(t))
	tx.Signal.CreateBulk(tx.Signal.Create().SetNumber(1).SetEntsignalGroup(2)).ExecX(ctx(t))
	tx.SignalHooks.Create().SetNumber(1).ExecX(ctx(t))
	require.NoError(t, tx.Commit())
}

func TestSignalsWithAwkwardNamesAreSent(t *testing.T) {
	t.Parallel()
	for name, flush := range map[string]func(*entsignal.Bus, context.Context) (int, error){
		"flush": func(bus *entsignal.Bus, ctx context.Context) (int, error) {
			return bus.Flush(ctx, entsignal.Wait(0))
		},
		"flushmany": func(bus *entsignal.Bus, ctx context.Context) (int, error) { return bus.FlushMany(ctx) },
		"flushordered": func(bus *entsignal.Bus, ctx context.Context) (int, error) {
			return bus.FlushOrdered(ctx)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, bus, sent := open(t)
			bus.SetAutoFlush(false)
			recordAll(t, c)
			assert.Empty(t, sent.types())
			n, err := flush(bus, ctx(t))
			require.NoError(t, err)
			assert.Equal(t, len(all), n)
			assert.ElementsMatch(t, all, sent.types())
		})
	}
	t.Run("autoflush", func(t *testing.T) {
		t.Parallel()
		c, bus, sent := open(t)
		recordAll(t, c)
		assert.ElementsMatch(t, all, sent.types())
		counts, err := bus.Pending(ctx(t))
		require.NoError(t, err)
		assert.Len(t, counts, len(all))
		for _, count := range counts {
			assert.Zero(t, count.Count, count.Name)
		}
	})
}

// ctx returns a context that ends a test that hangs.
func ctx(t testing.TB) context.Context {
	c, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	t.Cleanup(cancel)
	return c
}
