package undecodable_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"entgo.io/ent/dialect"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/entsignal/entsignaltest"
	"github.com/entsignal/signalbus/integration/internal/recorder"
	"github.com/entsignal/signalbus/integration/internal/testdb"
	"github.com/entsignal/signalbus/integration/undecodable/ent"
)

// store is a client with a bus, and the numbers that its senders sent.
type store struct {
	*ent.Client
	bus    *entsignal.Bus
	db     *testdb.DB
	errors chan error // what the error handler got

	parcels *recorder.Recorder[*ent.ParcelPacked, int]
	notes   *recorder.Recorder[*ent.NotePinned, int]
	pallets *recorder.Recorder[*ent.PalletMoved, int]
	crates  *recorder.Recorder[*ent.CrateMoved, int]
	labels  *recorder.Recorder[*ent.LabelPrinted, int]
	boxes   *recorder.Recorder[*ent.BoxSealed, int]
	bins    *recorder.Recorder[*ent.BinMarked, int]
}

// open opens a store on an empty database, and creates its tables.
func open(t testing.TB, db *testdb.DB, configure ...func(*ent.SignalSenders)) *store {
	t.Helper()
	s := openAgain(t, db, configure...)
	db.CreateTables(t, func(out io.Writer) error { return s.Schema.WriteTo(ctx(t), out) })
	return s
}

// openAgain opens a store as another process would.
func openAgain(t testing.TB, db *testdb.DB, configure ...func(*ent.SignalSenders)) *store {
	t.Helper()
	senders, outbox := entsignaltest.Senders[ent.SignalSenders](t)
	s := &store{
		db:      db,
		errors:  make(chan error, 100),
		parcels: recorder.New(outbox, func(s *ent.ParcelPacked) int { return s.Number }),
		notes:   recorder.New(outbox, func(s *ent.NotePinned) int { return s.Number }),
		pallets: recorder.New(outbox, func(s *ent.PalletMoved) int { return s.Number }),
		crates:  recorder.New(outbox, func(s *ent.CrateMoved) int { return s.Number }),
		labels:  recorder.New(outbox, func(s *ent.LabelPrinted) int { return s.Number }),
		boxes:   recorder.New(outbox, func(s *ent.BoxSealed) int { return s.Number }),
		bins:    recorder.New(outbox, func(s *ent.BinMarked) int { return s.Number }),
	}
	for _, c := range configure {
		c(&senders)
	}
	bus, err := ent.NewSignalBus(senders,
		entsignal.WithErrorHandler(func(_ context.Context, err error) { s.errors <- err }),
		entsignal.WithLogger(slog.New(slog.DiscardHandler)))
	require.NoError(t, err)
	s.bus = bus
	s.Client = ent.NewClient(ent.Driver(db.Driver(t)), ent.WithSignalBus(bus))
	t.Cleanup(func() {
		c, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		defer cancel()
		assert.NoError(t, bus.Close(c))
	})
	return s
}

func (s *store) exec(t testing.TB, statement string, args ...any) {
	t.Helper()
	if s.db.Dialect == dialect.Postgres {
		for i := range args {
			statement = strings.Replace(statement, "?", fmt.Sprintf("$%d", i+1), 1)
		}
	}
	_, err := s.db.Open(t).ExecContext(ctx(t), statement, args...)
	require.NoError(t, err, statement)
}

// insert inserts rows, numbered from 1, by SQL; those of the bad numbers can't be
// decoded.
func (s *store) insert(t testing.TB, table string, n int, bad ...int) {
	t.Helper()
	more, value := "", ""
	if table == "crate_moveds" {
		more, value = ", dock", ", 'dock %d'"
	}
	var rows []string
	for i := 1; i <= n; i++ {
		items, v := asWanted, value
		if slices.Contains(bad, i) {
			items = ofAnother
		}
		if v != "" {
			v = fmt.Sprintf(v, i%3)
		}
		rows = append(rows, fmt.Sprintf("('%s', %d%s)", items, i, v))
	}
	s.exec(t, fmt.Sprintf("INSERT INTO %s (items, number%s) VALUES %s", table, more, strings.Join(rows, ", ")))
}

// mend makes all rows of a table such as can be decoded.
func (s *store) mend(t testing.TB, table string) {
	t.Helper()
	s.exec(t, "UPDATE "+table+" SET items = '"+asWanted+"'")
}

func (s *store) pending(t testing.TB, name string) entsignal.PendingCount {
	t.Helper()
	counts, err := s.bus.Pending(ctx(t), entsignal.Only(name))
	require.NoError(t, err)
	return counts[0]
}

func (s *store) failed(t testing.TB, name string) []entsignal.FailedSignal {
	t.Helper()
	all, err := s.bus.Failed(ctx(t), entsignal.Only(name))
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

// assertUndecodable asserts that err says of one signal that its row can't be
// decoded.
func assertUndecodable(t testing.TB, err error, id string) {
	t.Helper()
	var undecodable *entsignal.DecodeError
	if assert.ErrorAs(t, err, &undecodable) {
		assert.True(t, entsignal.IsPermanent(err))
		assert.ErrorContains(t, err, "id "+id)
	}
}

// ctx returns a context that ends a test that hangs.
func ctx(t testing.TB) context.Context {
	c, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	t.Cleanup(cancel)
	return c
}
