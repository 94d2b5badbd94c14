// Package testkit uses package entsignaltest as the tests of a user's project do:
// each assertion and each fault, with both outcomes.
package testkit

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/entsignal/entsignaltest"
	"github.com/entsignal/signalbus/integration/internal/testdb"
	"github.com/entsignal/signalbus/integration/shop/ent"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// kinds are the databases of a user's tests.
var kinds = []testdb.Kind{testdb.PostgreSQL, testdb.SQLite}

// shop is a program under test.
type shop struct {
	*ent.Client
	bus    *entsignal.Bus
	outbox *entsignaltest.Outbox
}

// open opens a shop on an empty database.
func open(t *testing.T, db *testdb.DB, opts ...entsignal.BusOption) *shop {
	t.Helper()
	senders, outbox := entsignaltest.Senders[ent.SignalSenders](t)
	bus, err := ent.NewSignalBus(senders, append(opts, outbox.Option())...)
	require.NoError(t, err)
	client := ent.NewClient(ent.Driver(db.Driver(t)), ent.WithSignalBus(bus))
	createTables(t, db, client)
	return &shop{client, bus, outbox}
}

func createTables(t *testing.T, db *testdb.DB, client *ent.Client) {
	t.Helper()
	db.CreateTables(t, func(w io.Writer) error { return client.Schema.WriteTo(ctx(t), w) })
}

// order records order signals, each in a transaction of its own.
func (s *shop) order(t testing.TB, numbers ...int) {
	t.Helper()
	for _, n := range numbers {
		s.OrderPlaced.Create().SetNumber(n).SetCustomer("Ada").ExecX(ctx(t))
	}
}

// ctx returns a context that ends a test that hangs.
func ctx(t testing.TB) context.Context {
	c, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return c
}

// number is what the tests know an order by.
func number(s *ent.OrderPlaced) int { return s.Number }

func numbers(orders []*ent.OrderPlaced) []int {
	all := make([]int, len(orders))
	for i, s := range orders {
		all[i] = number(s)
	}
	return all
}

// is matches the order with a number.
func is(n int) func(*ent.OrderPlaced) bool {
	return func(s *ent.OrderPlaced) bool { return s.Number == n }
}

// failingTB stands for a test that fails.
type failingTB struct {
	testing.TB
	mu    sync.Mutex
	texts []string
}

func (f *failingTB) Helper() {}

func (f *failingTB) Errorf(format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.texts = append(f.texts, fmt.Sprintf(format, args...))
}

func (f *failingTB) Fatalf(format string, args ...any) {
	f.Errorf(format, args...)
	runtime.Goexit()
}

// failure returns the text with which test fails. It must fail, and at once.
func failure(t *testing.T, test func(t testing.TB)) string {
	t.Helper()
	f := &failingTB{TB: t}
	ended, whole := make(chan struct{}), false
	go func() {
		defer close(ended)
		test(f)
		whole = true
	}()
	<-ended
	require.False(t, whole, "the test should have ended")
	require.NotEmpty(t, f.texts)
	text := strings.Join(f.texts, "\n")
	t.Log(text)
	return text
}
