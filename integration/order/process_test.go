package order_test

import (
	"context"
	"io"
	"log/slog"
	"sync"
	"testing"
	"time"

	"entgo.io/ent/dialect"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/integration/internal/testdb"
	"github.com/entsignal/signalbus/integration/order/ent"
)

// sent is a message that arrived.
type sent struct {
	key    any
	number int
}

// arrivals are the messages that the senders of one or more processes sent, in
// order.
type arrivals struct {
	mu  sync.Mutex
	all []sent
	// before runs before a message is sent, and may refuse it.
	before func(key any, number int) error
}

func (a *arrivals) send(key any, number int) error {
	a.mu.Lock()
	before := a.before
	a.mu.Unlock()
	if before != nil {
		if err := before(key, number); err != nil {
			return err
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.all = append(a.all, sent{key, number})
	return nil
}

// of returns the numbers that arrived of a key.
func (a *arrivals) of(key any) (numbers []int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, s := range a.all {
		if s.key == key {
			numbers = append(numbers, s.number)
		}
	}
	return numbers
}

func (a *arrivals) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.all)
}

// process is a client with a bus, as a program has it.
type process struct {
	*ent.Client
	bus *entsignal.Bus
	db  *testdb.DB
	to  *arrivals
}

// open opens the database, and creates its tables.
func open(t testing.TB, db *testdb.DB, to *arrivals, opts ...entsignal.BusOption) *process {
	t.Helper()
	p := join(t, db, to, opts...)
	db.CreateTables(t, func(w io.Writer) error { return p.Schema.WriteTo(ctx(t), w) })
	return p
}

// join opens a database whose tables are there, as another process would.
func join(t testing.TB, db *testdb.DB, to *arrivals, opts ...entsignal.BusOption) *process {
	t.Helper()
	bus, err := ent.NewSignalBus(ent.SignalSenders{
		AccountMoved: entsignal.Each(func(_ context.Context, s *ent.AccountMoved) error { return to.send(s.Account, s.Number) }),
		AccountLocked: entsignal.Each(func(_ context.Context, s *ent.AccountLocked) error {
			return to.send(s.Account, s.Number)
		}),
		DocumentChanged: entsignal.Each(func(_ context.Context, s *ent.DocumentChanged) error { return to.send(s.Document, s.Revision) }),
		LevelReached:    entsignal.Each(func(_ context.Context, s *ent.LevelReached) error { return to.send(s.Level, s.Number) }),
		NameGreeted:     entsignal.Each(func(_ context.Context, s *ent.NameGreeted) error { return to.send(s.Name, s.Number) }),
		DoorOpened:      entsignal.Each(func(_ context.Context, s *ent.DoorOpened) error { return to.send(nil, s.Number) }),
		TaskRanked:      entsignal.Each(func(_ context.Context, s *ent.TaskRanked) error { return to.send(nil, s.ID) }),
		CardDrawn:       entsignal.Each(func(_ context.Context, s *ent.CardDrawn) error { return to.send(nil, s.ID) }),
		JobQueued:       entsignal.Each(func(_ context.Context, s *ent.JobQueued) error { return to.send(nil, s.Priority) }),
	}, append([]entsignal.BusOption{entsignal.WithLogger(slog.New(slog.DiscardHandler))}, opts...)...)
	require.NoError(t, err)
	p := &process{Client: ent.NewClient(ent.Driver(db.Driver(t)), ent.WithSignalBus(bus), ent.Log(func(...any) {})), bus: bus, db: db, to: to}
	t.Cleanup(func() {
		c, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		defer cancel()
		assert.NoError(t, bus.Close(c))
	})
	return p
}

func ctx(t testing.TB) context.Context {
	c, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	t.Cleanup(cancel)
	return c
}

// move records signals of the accounts, in turn, numbered from 1 in each.
func (p *process) move(t testing.TB, accounts, each int) {
	t.Helper()
	p.AccountMoved.MapCreateBulk(make([]struct{}, accounts*each), func(c *ent.AccountMovedCreate, i int) {
		c.SetAccount(i%accounts + 1).SetNumber(i/accounts + 1)
	}).ExecX(ctx(t))
}

func (p *process) pending(t testing.TB, name string) int {
	t.Helper()
	counts, err := p.bus.Pending(ctx(t), entsignal.Only(name))
	require.NoError(t, err)
	return counts[0].Count
}

// numbers returns the numbers from 1 to n.
func numbers(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i + 1
	}
	return all
}

func isSQLite(db *testdb.DB) bool { return db.Dialect == dialect.SQLite }
