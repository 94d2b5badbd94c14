// Package drivers_test runs one program through many drivers, and with clients
// that are made in many ways: what it records is sent, or it is logged that it
// isn't.
package drivers_test

import (
	"context"
	"io"
	"sync"
	"testing"
	"time"

	"entgo.io/ent/dialect"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/entsignal/entsignaltest"
	"github.com/entsignal/signalbus/integration/drivers/ent"
	"github.com/entsignal/signalbus/integration/internal/recorder"
	"github.com/entsignal/signalbus/integration/internal/testdb"
	"github.com/entsignal/signalbus/internal/testlog"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// program is a client, its bus, and senders that record.
type program struct {
	*ent.Client
	bus     *entsignal.Bus
	senders ent.SignalSenders
	moved   *recorder.Recorder[*ent.MoneyMoved, int]
	priced  *recorder.Recorder[*ent.PriceSet, int]
	errors  *errorLog
	log     *testlog.Log
}

// createTables creates the tables of the program.
func createTables(t *testing.T, db *testdb.DB) {
	t.Helper()
	db.CreateTables(t, func(w io.Writer) error { return ent.NewClient(ent.Driver(db.Driver(t))).Schema.WriteTo(ctx(t), w) })
}

// open opens the program through a driver to a database with its tables.
func open(t *testing.T, drv dialect.Driver, opts ...entsignal.BusOption) *program {
	t.Helper()
	senders, outbox := entsignaltest.Senders[ent.SignalSenders](t)
	p := &program{
		senders: senders,
		moved:   recorder.New(outbox, func(s *ent.MoneyMoved) int { return s.Number }),
		priced:  recorder.New(outbox, func(s *ent.PriceSet) int { return s.Number }),
		errors:  &errorLog{},
		log:     &testlog.Log{},
	}
	opts = append([]entsignal.BusOption{
		entsignal.WithErrorHandler(p.errors.add),
		entsignal.WithLogger(p.log.Logger()),
	}, opts...)
	bus, err := ent.NewSignalBus(senders, opts...)
	require.NoError(t, err)
	p.bus = bus
	p.Client = ent.NewClient(ent.Driver(drv), ent.Log(func(...any) {}), ent.WithSignalBus(bus))
	t.Cleanup(func() {
		c, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		defer cancel()
		assert.NoError(t, bus.Close(c))
	})
	return p
}

// pending returns how many signals of the database wait.
func pending(t *testing.T, db *testdb.DB) int {
	t.Helper()
	return ent.NewClient(ent.Driver(db.Driver(t))).MoneyMoved.Query().CountX(ctx(t))
}

// ctx returns a context that ends a test that hangs.
func ctx(t testing.TB) context.Context {
	c, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	t.Cleanup(cancel)
	return c
}

// errorLog keeps what the error handler of a bus gets.
type errorLog struct {
	mu   sync.Mutex
	errs []error
}

func (l *errorLog) add(_ context.Context, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.errs = append(l.errs, err)
}

func (l *errorLog) all() []error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.errs
}
