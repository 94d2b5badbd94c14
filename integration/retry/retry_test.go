// Package retry has tests on signals that can't be sent: how they are found in
// their batches, tried again, dead, and given back or discarded.
package retry_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"testing"
	"time"

	"entgo.io/ent/dialect"
	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/entsignal/entsignaltest"
	"github.com/entsignal/signalbus/integration/internal/recorder"
	"github.com/entsignal/signalbus/integration/internal/testdb"
	"github.com/entsignal/signalbus/integration/retry/ent"
)

// TestMain also serves as the process that a test starts.
func TestMain(m *testing.M) {
	if os.Getenv(childKind) != "" {
		if err := runChild(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	testscript.Main(m, map[string]func(){"works": func() { os.Exit(program()) }})
}

// works is a client with a bus, and what its senders sent.
type works struct {
	*ent.Client
	bus    *entsignal.Bus
	db     *testdb.DB
	errors chan error // what the error handler got

	outbox *entsignaltest.Outbox
	jobs   *recorder.Recorder[*ent.JobQueued, int]
	mails  *recorder.Recorder[*ent.MailWanted, int]
	badges *recorder.Recorder[*ent.BadgeGiven, int]
	steps  *recorder.Recorder[*ent.StepDone, int]
	notes  *recorder.Recorder[*ent.NoteTaken, int]
	moves  *recorder.Recorder[*ent.LineMoved, string]
}

// open opens works on an empty database, and creates its tables.
func open(t testing.TB, db *testdb.DB, opts ...entsignal.BusOption) *works {
	t.Helper()
	w := openAgain(t, db, opts...)
	db.CreateTables(t, func(out io.Writer) error { return w.Schema.WriteTo(ctx(t), out) })
	return w
}

// openAgain opens works as another process would.
func openAgain(t testing.TB, db *testdb.DB, opts ...entsignal.BusOption) *works {
	t.Helper()
	return newWorks(t, db, db.Driver(t), opts...)
}

// newWorks opens works whose tables are there, through drv.
func newWorks(t testing.TB, db *testdb.DB, drv dialect.Driver, opts ...entsignal.BusOption) *works {
	t.Helper()
	senders, outbox := entsignaltest.Senders[ent.SignalSenders](t)
	w := &works{
		db:     db,
		outbox: outbox,
		errors: make(chan error, 100),
		jobs:   recorder.New(outbox, func(s *ent.JobQueued) int { return s.Number }),
		mails:  recorder.New(outbox, func(s *ent.MailWanted) int { return s.Number }),
		badges: recorder.New(outbox, func(s *ent.BadgeGiven) int { return s.Number }),
		steps:  recorder.New(outbox, func(s *ent.StepDone) int { return s.Number }),
		notes:  recorder.New(outbox, func(s *ent.NoteTaken) int { return s.Number }),
		moves:  recorder.New(outbox, func(s *ent.LineMoved) string { return fmt.Sprint(s.Line, s.Number) }),
	}
	bus, err := ent.NewSignalBus(senders, append([]entsignal.BusOption{
		entsignal.WithErrorHandler(func(_ context.Context, err error) { w.errors <- err }),
		entsignal.WithLogger(slog.New(slog.NewTextHandler(testWriter{t}, nil))),
	}, opts...)...)
	require.NoError(t, err)
	w.bus = bus
	w.Client = ent.NewClient(ent.Driver(drv), ent.WithSignalBus(bus))
	t.Cleanup(func() {
		c, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		defer cancel()
		assert.NoError(t, bus.Close(c))
	})
	return w
}

var (
	errPoison = errors.New("poison")
	errAway   = entsignal.Unavailable(errors.New("away"))
)

// failing returns what makes a sender fail, as a whole, for every batch with
// one of the numbers in it.
func failing[T any](number func(T) int, err error, bad ...int) func(context.Context, []T) error {
	return func(_ context.Context, signals []T) error {
		if slices.ContainsFunc(signals, func(s T) bool { return slices.Contains(bad, number(s)) }) {
			return err
		}
		return nil
	}
}

func jobNumber(s *ent.JobQueued) int   { return s.Number }
func stepNumber(s *ent.StepDone) int   { return s.Number }
func mailNumber(s *ent.MailWanted) int { return s.Number }

// queue records pending jobs, numbered from 1, by SQL: it knows nothing of the
// columns of mixin.Retry.
func (w *works) queue(t testing.TB, n int) {
	t.Helper()
	const digits = "(SELECT 0 AS n UNION SELECT 1 UNION SELECT 2 UNION SELECT 3 UNION SELECT 4" +
		" UNION SELECT 5 UNION SELECT 6 UNION SELECT 7 UNION SELECT 8 UNION SELECT 9)"
	const number = "1 + a.n + 10 * b.n + 100 * c.n + 1000 * d.n"
	_, err := w.db.Open(t).ExecContext(ctx(t), fmt.Sprintf(
		"INSERT INTO job_queueds (number, payload) SELECT %[1]s, '' FROM %[2]s AS a, %[2]s AS b, %[2]s AS c, %[2]s AS d WHERE %[1]s <= %[3]d ORDER BY 1",
		number, digits, n))
	require.NoError(t, err)
}

// step records pending steps, numbered from 1.
func (w *works) step(t testing.TB, n int) {
	t.Helper()
	w.StepDone.MapCreateBulk(make([]struct{}, n), func(c *ent.StepDoneCreate, i int) { c.SetNumber(i + 1) }).ExecX(ctx(t))
}

// wait lets the time of everything that waits come.
func (w *works) wait(t testing.TB) {
	t.Helper()
	past := time.Now().Add(-time.Minute).UTC().Truncate(time.Second)
	w.JobQueued.Update().SetSignalRetryAt(past).ExecX(ctx(t))
	w.StepDone.Update().SetSignalRetryAt(past).ExecX(ctx(t))
	w.MailWanted.Update().SetSignalRetryAt(past).ExecX(ctx(t))
}

// pending returns how many signals of the type wait.
func (w *works) pending(t testing.TB, name string) entsignal.PendingCount {
	t.Helper()
	counts, err := w.bus.Pending(ctx(t), entsignal.Only(name))
	require.NoError(t, err)
	require.Len(t, counts, 1)
	return counts[0]
}

// failed returns the signals of the type that have failed.
func (w *works) failed(t testing.TB, name string) []entsignal.FailedSignal {
	t.Helper()
	all, err := w.bus.Failed(ctx(t), entsignal.Only(name))
	require.NoError(t, err)
	return all
}

// numbers returns the numbers from 1 to n but some.
func numbers(n int, but ...int) []int {
	var all []int
	for i := 1; i <= n; i++ {
		if !slices.Contains(but, i) {
			all = append(all, i)
		}
	}
	return all
}

func sorted(numbers []int) []int {
	slices.Sort(numbers)
	return numbers
}

// ctx returns a context that ends a test that hangs.
func ctx(t testing.TB) context.Context {
	c, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	t.Cleanup(cancel)
	return c
}

func isSQLite(db *testdb.DB) bool { return db.Dialect == dialect.SQLite }

// testWriter writes a log to the test's.
type testWriter struct{ t testing.TB }

func (w testWriter) Write(p []byte) (int, error) {
	w.t.Logf("%s", p)
	return len(p), nil
}
