package shop_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"testing"
	"time"

	"entgo.io/ent/dialect"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/entsignal/entsignaltest"
	"github.com/entsignal/signalbus/integration/internal/recorder"
	"github.com/entsignal/signalbus/integration/internal/testdb"
	"github.com/entsignal/signalbus/integration/shop/ent"
)

func TestMain(m *testing.M) {
	if mode := os.Getenv(childMode); mode != "" {
		if err := runChild(mode); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// shop is an application: a client, its bus, and senders that record.
type shop struct {
	*ent.Client
	bus    *entsignal.Bus
	db     *testdb.DB
	errors *errorLog

	outbox    *entsignaltest.Outbox
	orders    *recorder.Recorder[*ent.OrderPlaced, int]
	users     *recorder.Recorder[*ent.UserJoined, int]
	tickets   *recorder.Recorder[*ent.TicketOpened, int]
	badges    *recorder.Recorder[*ent.BadgeGiven, int]
	shipments *recorder.Recorder[*ent.ShipmentDue, int]
	audits    *recorder.Recorder[*ent.AuditLogged, int]
	invoices  *recorder.Recorder[*ent.InvoiceIssued, int]
	measured  *recorder.Recorder[*ent.Measured, int]
	senders   ent.SignalSenders
}

// newShop returns the shop's senders, without a client.
func newShop(t testing.TB) *shop {
	t.Helper()
	senders, outbox := entsignaltest.Senders[ent.SignalSenders](t, entsignaltest.Timeout(hang))
	return &shop{
		senders:   senders,
		outbox:    outbox,
		errors:    newErrorLog(),
		orders:    recorder.New(outbox, func(s *ent.OrderPlaced) int { return s.Number }),
		users:     recorder.New(outbox, func(s *ent.UserJoined) int { return s.Number }),
		tickets:   recorder.New(outbox, func(s *ent.TicketOpened) int { return s.Number }),
		badges:    recorder.New(outbox, func(s *ent.BadgeGiven) int { return s.Number }),
		shipments: recorder.New(outbox, func(s *ent.ShipmentDue) int { return s.Number }),
		audits:    recorder.New(outbox, func(s *ent.AuditLogged) int { return s.Number }),
		invoices:  recorder.New(outbox, func(s *ent.InvoiceIssued) int { return s.Number }),
		measured:  recorder.New(outbox, func(s *ent.Measured) int { return s.ID }),
	}
}

// open opens a shop on the database, and creates its tables.
func open(t testing.TB, db *testdb.DB, opts ...entsignal.BusOption) *shop {
	t.Helper()
	s := newShop(t)
	s.open(t, db, opts...)
	s.createTables(t)
	return s
}

// createTables creates the tables of the shop.
func (s *shop) createTables(t testing.TB) {
	t.Helper()
	s.db.CreateTables(t, func(w io.Writer) error { return s.Schema.WriteTo(ctx(t), w) })
}

// open opens the client of a shop whose tables are there.
func (s *shop) open(t testing.TB, db *testdb.DB, opts ...entsignal.BusOption) {
	t.Helper()
	opts = append([]entsignal.BusOption{
		entsignal.WithErrorHandler(s.errors.add),
		entsignal.WithLogger(slog.New(slog.NewTextHandler(testWriter{t}, nil))),
	}, opts...)
	bus, err := ent.NewSignalBus(s.senders, opts...)
	require.NoError(t, err)
	s.db, s.bus = db, bus
	s.Client = ent.NewClient(ent.Driver(db.Driver(t)), ent.WithSignalBus(bus))
	t.Cleanup(func() {
		c, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		defer cancel()
		assert.NoError(t, bus.Close(c))
	})
}

// peer opens the same database again, as another process would.
func (s *shop) peer(t testing.TB, opts ...entsignal.BusOption) *shop {
	t.Helper()
	p := newShop(t)
	p.open(t, s.db, opts...)
	return p
}

// pending returns how many signals of the type wait.
func (s *shop) pending(t testing.TB, name string) int {
	t.Helper()
	counts, err := s.bus.Pending(ctx(t), entsignal.Only(name))
	require.NoError(t, err)
	require.Len(t, counts, 1)
	return counts[0].Count
}

// inTx runs f in a transaction and commits it.
func (s *shop) inTx(t testing.TB, f func(tx *ent.Tx)) {
	t.Helper()
	tx, err := s.Tx(ctx(t))
	require.NoError(t, err)
	f(tx)
	require.NoError(t, tx.Commit())
}

// audit records n pending signals, numbered from 1.
func (s *shop) audit(t testing.TB, n int) {
	t.Helper()
	const chunk = 1000
	for from := 1; from <= n; from += chunk {
		s.inTx(t, func(tx *ent.Tx) {
			tx.AuditLogged.MapCreateBulk(make([]struct{}, min(chunk, n-from+1)), func(c *ent.AuditLoggedCreate, i int) {
				c.SetNumber(from + i)
			}).ExecX(ctx(t))
		})
	}
}

// numbers returns the numbers from 1 to n.
func numbers(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i + 1
	}
	return all
}

// hang is what only a call that hangs reaches.
const hang = 5 * time.Minute

// ctx returns a context that ends a test that hangs.
func ctx(t testing.TB) context.Context {
	c, cancel := context.WithTimeout(context.Background(), hang)
	t.Cleanup(cancel)
	return c
}

// lateEnough calls wait with a context that ends while it waits, and returns its
// error. Where the context has ended before wait found out what it waits for, as
// told reports, another one ends later.
func lateEnough(t *testing.T, wait func(context.Context) error, told func(error) bool) (err error) {
	t.Helper()
	for patience := 50 * time.Millisecond; patience < hang && !told(err); patience *= 2 {
		ending, cancel := context.WithTimeout(t.Context(), patience)
		err = wait(ending)
		cancel()
		require.ErrorIs(t, err, context.DeadlineExceeded)
	}
	return err
}

func isSQLite(db *testdb.DB) bool { return db.Dialect == dialect.SQLite }

// testWriter writes a log to the test's.
type testWriter struct{ t testing.TB }

func (w testWriter) Write(p []byte) (int, error) {
	w.t.Logf("%s", p)
	return len(p), nil
}

// errorLog keeps what the error handler of a bus gets.
type errorLog struct{ c chan error }

func newErrorLog() *errorLog { return &errorLog{c: make(chan error, 1000)} }

func (l *errorLog) add(_ context.Context, err error) { l.c <- err }

// all returns the errors since the last call.
func (l *errorLog) all() (errs []error) {
	for {
		select {
		case err := <-l.c:
			errs = append(errs, err)
		default:
			return errs
		}
	}
}
