package tenants_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
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
	"github.com/entsignal/signalbus/integration/tenants/ent"
	"github.com/entsignal/signalbus/integration/tenants/ent/migrate"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// postgres are the drivers of the only database of ours with schemas that ent
// can tell apart.
var postgres = []testdb.Kind{testdb.PostgreSQL, testdb.PGX}

// defaults are the schemas that the project's annotations name.
var defaults = ent.SchemaConfig{OrderPlaced: "sales", InvoiceIssued: "billing", InvoiceLine: "sales"}

// tenant is an application that works in schemas of its own.
type tenant struct {
	*ent.Client
	bus      *entsignal.Bus
	orders   *recorder.Recorder[*ent.OrderPlaced, int]
	invoices *recorder.Recorder[*ent.InvoiceIssued, string]
}

// createTables creates the schemas of the annotations, and their tables. ent's own
// migration knows one schema only.
func createTables(t *testing.T, db *testdb.DB) {
	t.Helper()
	tables, err := schema.CopyTables(migrate.Tables) // which a migration writes to
	require.NoError(t, err)
	require.NoError(t, migrate.Create(ctx(t), ent.NewClient(ent.Driver(db.Driver(t))).Schema, tables))
	exec(t, db, `
		CREATE SCHEMA sales;
		CREATE SCHEMA billing;
		ALTER TABLE order_placeds SET SCHEMA sales;
		ALTER TABLE invoice_lines SET SCHEMA sales;
		ALTER TABLE invoice_issueds SET SCHEMA billing`)
}

// open opens a client, whose tables are there.
func open(t *testing.T, db *testdb.DB, opts ...ent.Option) *tenant {
	t.Helper()
	senders, outbox := entsignaltest.Senders[ent.SignalSenders](t)
	s := &tenant{
		orders: recorder.New(outbox, func(s *ent.OrderPlaced) int { return s.Number }),
		invoices: recorder.New(outbox, func(s *ent.InvoiceIssued) string {
			texts := []string{}
			for _, line := range s.Edges.Lines {
				texts = append(texts, line.Text)
			}
			slices.Sort(texts)
			return fmt.Sprint(s.Number, ":", strings.Join(texts, "+"))
		}),
	}
	bus, err := ent.NewSignalBus(senders, entsignal.WithErrorHandler(func(_ context.Context, err error) { assert.NoError(t, err, "autoflush") }))
	require.NoError(t, err)
	s.bus = bus
	s.Client = ent.NewClient(append(opts, ent.Driver(db.Driver(t)), ent.WithSignalBus(bus))...)
	return s
}

// record commits three signals of each type. The first invoice has two lines.
func (s *tenant) record(t *testing.T) {
	t.Helper()
	tx, err := s.Tx(ctx(t))
	require.NoError(t, err)
	for number := range 3 {
		tx.OrderPlaced.Create().SetNumber(number).ExecX(ctx(t))
		invoice := tx.InvoiceIssued.Create().SetNumber(number).SaveX(ctx(t))
		if number == 0 {
			tx.InvoiceLine.Create().SetText("a").SetInvoice(invoice).ExecX(ctx(t))
			tx.InvoiceLine.Create().SetText("b").SetInvoice(invoice).ExecX(ctx(t))
		}
	}
	require.NoError(t, tx.Commit())
}

// leave commits signals and leaves them pending.
func (s *tenant) leave(t *testing.T) {
	t.Helper()
	s.bus.SetAutoFlush(false)
	s.record(t)
	assert.Equal(t, []int{3, 3}, s.pending(t))
}

// pending returns how many signals of each type wait.
func (s *tenant) pending(t *testing.T) []int {
	t.Helper()
	counts, err := s.bus.Pending(ctx(t))
	require.NoError(t, err)
	require.Len(t, counts, 2)
	assert.Equal(t, "InvoiceIssued", counts[0].Name)
	assert.Equal(t, "OrderPlaced", counts[1].Name)
	return []int{counts[0].Count, counts[1].Count}
}

// assertAllSent asserts that what record has recorded was sent and deleted.
func (s *tenant) assertAllSent(t *testing.T, db *testdb.DB, in ent.SchemaConfig) {
	t.Helper()
	assert.ElementsMatch(t, []int{0, 1, 2}, s.orders.Keys())
	assert.ElementsMatch(t, []string{"0:a+b", "1:", "2:"}, s.invoices.Keys())
	assert.Equal(t, []int{0, 0}, s.pending(t))
	assert.Equal(t, []int{0, 0, 0}, rows(t, db, in))
}

// ways are the ways by which signals leave.
var ways = map[string]func(*testing.T, *tenant){
	"autoflush": func(t *testing.T, s *tenant) { s.record(t) },
	"flush": func(t *testing.T, s *tenant) {
		s.leave(t)
		sendsSix(t)(s.bus.Flush(ctx(t), entsignal.Wait(0)))
	},
	"flushmany": func(t *testing.T, s *tenant) {
		s.leave(t)
		sendsSix(t)(s.bus.FlushMany(ctx(t), entsignal.Workers(2)))
	},
	"flushordered": func(t *testing.T, s *tenant) {
		s.leave(t)
		sendsSix(t)(s.bus.FlushOrdered(ctx(t)))
		assert.Equal(t, []int{0, 1, 2}, s.orders.Keys())
		assert.Equal(t, []string{"2:", "1:", "0:a+b"}, s.invoices.Keys())
	},
	"send": func(t *testing.T, s *tenant) {
		s.leave(t)
		invoices, err := s.InvoiceIssued.Send(ctx(t), s.InvoiceIssued.Query().AllX(ctx(t))...)
		require.NoError(t, err)
		orders, err := s.OrderPlaced.Send(ctx(t), s.OrderPlaced.Query().AllX(ctx(t))...)
		sendsSix(t)(invoices+orders, err)
	},
}

func sendsSix(t *testing.T) func(int, error) {
	return func(n int, err error) {
		t.Helper()
		require.NoError(t, err)
		assert.Equal(t, 6, n)
	}
}

func TestSignalsInSeveralSchemasAreSent(t *testing.T) {
	t.Parallel()
	for name, send := range ways {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testdb.On(t, postgres, func(t *testing.T, db *testdb.DB) {
				createTables(t, db)
				s := open(t, db)
				send(t, s)
				s.assertAllSent(t, db, defaults)
			})
		})
	}
}

func TestTenantsOfOneDatabaseDoNotSendForEachOther(t *testing.T) {
	t.Parallel()
	for name, send := range ways {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testdb.On(t, postgres, func(t *testing.T, db *testdb.DB) {
				createTables(t, db)
				mine, theirs := newTenant(t, db, "mine"), newTenant(t, db, "theirs")
				me := open(t, db, ent.AlternateSchema(mine))
				they := open(t, db, ent.AlternateSchema(theirs))
				they.leave(t)
				send(t, me)
				me.assertAllSent(t, db, mine)
				assert.Empty(t, they.orders.Keys())
				assert.Empty(t, they.invoices.Keys())
				assert.Equal(t, []int{3, 3}, they.pending(t))
				assert.Equal(t, []int{3, 3, 2}, rows(t, db, theirs))
			})
		})
	}
}

// A tenant's name may come from outside.
func TestNamesOfSchemasThatAreSQLAreQuoted(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"autoflush", "flushordered", "send"} {
		send := ways[name]
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testdb.On(t, postgres[:1], func(t *testing.T, db *testdb.DB) {
				createTables(t, db)
				hostile := newTenant(t, db, "sales; DROP TABLE sales.order_placeds; -- $1 ☃'")
				s := open(t, db, ent.AlternateSchema(hostile))
				send(t, s)
				s.assertAllSent(t, db, hostile)
				assert.Equal(t, []int{0, 0, 0}, rows(t, db, defaults), "they are still there")
			})
		})
	}
}

// newTenant returns schemas that begin with the name and have the tables of
// the default ones.
func newTenant(t *testing.T, db *testdb.DB, name string) ent.SchemaConfig {
	t.Helper()
	in := ent.SchemaConfig{OrderPlaced: name + "_sales", InvoiceIssued: name + "_billing", InvoiceLine: name + "_sales"}
	for _, schema := range []string{"sales", "billing"} {
		exec(t, db, fmt.Sprintf("CREATE SCHEMA %q", name+"_"+schema))
	}
	for i, table := range tables(in) {
		exec(t, db, "CREATE TABLE "+table+" (LIKE "+tables(defaults)[i]+" INCLUDING ALL)")
	}
	exec(t, db, fmt.Sprintf("ALTER TABLE %s ADD FOREIGN KEY (invoice_issued_lines) REFERENCES %s ON DELETE CASCADE", tables(in)[2], tables(in)[1]))
	return in
}

// tables returns the names of the tables with their schemas.
func tables(in ent.SchemaConfig) []string {
	table := func(schema, name string) string { return fmt.Sprintf("%q.%s", schema, name) }
	return []string{table(in.OrderPlaced, "order_placeds"), table(in.InvoiceIssued, "invoice_issueds"), table(in.InvoiceLine, "invoice_lines")}
}

// rows returns how many rows each of the tables has.
func rows(t *testing.T, db *testdb.DB, in ent.SchemaConfig) []int {
	t.Helper()
	pool := db.Open(t)
	counts := make([]int, 3)
	for i, table := range tables(in) {
		require.NoError(t, pool.QueryRow("SELECT COUNT(*) FROM "+table).Scan(&counts[i]))
	}
	return counts
}

func exec(t *testing.T, db *testdb.DB, statements string) {
	t.Helper()
	_, err := db.Open(t).Exec(statements)
	require.NoError(t, err, statements)
}

// ctx returns a context that ends a test that hangs.
func ctx(t testing.TB) context.Context {
	c, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	t.Cleanup(cancel)
	return c
}
func TestTenantsFlushInOrderSideBySide(t *testing.T) {
	t.Parallel()
	testdb.On(t, postgres, func(t *testing.T, db *testdb.DB) {
		createTables(t, db)
		me := open(t, db, ent.AlternateSchema(newTenant(t, db, "mine")))
		they := open(t, db, ent.AlternateSchema(newTenant(t, db, "theirs")))
		me.leave(t)
		they.leave(t)
		they.invoices.Before(func(ctx context.Context, _ []*ent.InvoiceIssued) error {
			they.invoices.Before(nil)
			n, err := me.InvoiceIssued.FlushOrdered(ctx, entsignal.Wait(0))
			assert.NoError(t, err)
			assert.Equal(t, 3, n)
			return nil
		})
		n, err := they.InvoiceIssued.FlushOrdered(ctx(t))
		require.NoError(t, err)
		assert.Equal(t, 3, n)
		assert.Len(t, me.invoices.Keys(), 3)
	})
}
