// Package inbox_test is a consumer: it receives messages more than once, and handles each
// once.
package inbox_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"entgo.io/ent/dialect"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/entsignal/entsignaltest"
	"github.com/entsignal/signalbus/integration/inbox/ent"
	"github.com/entsignal/signalbus/integration/inbox/ent/line"
	"github.com/entsignal/signalbus/integration/internal/recorder"
	"github.com/entsignal/signalbus/integration/internal/testdb"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// consumer is an application that receives: a client, its bus, and a sender that records.
type consumer struct {
	*ent.Client
	bus     *entsignal.Bus
	db      *testdb.DB
	senders ent.SignalSenders
	sent    *recorder.Recorder[*ent.Credited, string]
}

// each runs test with a consumer on each kind of database.
func each(t *testing.T, test func(t *testing.T, c *consumer)) {
	t.Helper()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) { test(t, open(t, db, db.Driver(t))) })
}

// open opens a consumer on the database, and creates its tables.
func open(t *testing.T, db *testdb.DB, drv dialect.Driver) *consumer {
	t.Helper()
	senders, outbox := entsignaltest.Senders[ent.SignalSenders](t)
	c := connect(t, db, drv, senders, recorder.New(outbox, func(s *ent.Credited) string { return s.Message }))
	db.CreateTables(t, func(w io.Writer) error { return c.Schema.WriteTo(t.Context(), w) })
	return c
}

// connect opens a consumer whose tables exist.
func connect(t *testing.T, db *testdb.DB, drv dialect.Driver, senders ent.SignalSenders, sent *recorder.Recorder[*ent.Credited, string]) *consumer {
	t.Helper()
	c := &consumer{db: db, senders: senders, sent: sent}
	bus, err := ent.NewSignalBus(senders)
	require.NoError(t, err)
	c.bus = bus
	c.Client = ent.NewClient(ent.Driver(drv), ent.WithSignalBus(bus))
	t.Cleanup(func() {
		end, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		defer cancel()
		assert.NoError(t, bus.Close(end))
	})
	return c
}

// another returns a client of another process, as the database sees it.
func (c *consumer) another(t *testing.T) *consumer {
	t.Helper()
	return connect(t, c.db, c.db.Driver(t), c.senders, c.sent)
}

// message returns the key of the n-th message of the shop.
func message(n int) entsignal.MessageKey {
	return entsignal.MessageKey{Source: "shop", ID: fmt.Sprintf("OrderPlaced:%d", n)}
}

// apply is the work of a handler: a row for the message, and a signal about it.
func apply(ctx context.Context, tx *ent.Tx, key entsignal.MessageKey) error {
	if err := tx.Line.Create().SetMessage(key.String()).Exec(ctx); err != nil {
		return err
	}
	return tx.Credited.Create().SetMessage(key.String()).Exec(ctx)
}

// handle handles a message whose handler succeeds.
func (c *consumer) handle(t *testing.T, key entsignal.MessageKey) (first bool) {
	t.Helper()
	first, err := c.Received.Once(ctx(t), key, func(ctx context.Context, tx *ent.Tx) error { return apply(ctx, tx, key) })
	require.NoError(t, err)
	return first
}

// applied returns how often the work for the message was done.
func (c *consumer) applied(t *testing.T, key entsignal.MessageKey) int {
	t.Helper()
	n, err := c.Line.Query().Where(line.Message(key.String())).Count(ctx(t))
	require.NoError(t, err)
	return n
}

// exec runs a statement past ent.
func (c *consumer) exec(t *testing.T, statement string) {
	t.Helper()
	pool := c.db.Open(t)
	defer pool.Close()
	_, err := pool.Exec(statement)
	require.NoError(t, err, statement)
}

// empty fails the test unless nothing is left of the messages so far.
func (c *consumer) empty(t *testing.T) {
	t.Helper()
	assert.Zero(t, c.Received.Query().CountX(ctx(t)), "keys")
	assert.Zero(t, c.Line.Query().CountX(ctx(t)), "effects")
	assert.Empty(t, c.sent.Keys(), "signals")
}

var errHandler = errors.New("the handler fails")

// ctx returns a context that ends a test that hangs.
func ctx(t *testing.T) context.Context {
	c, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	t.Cleanup(cancel)
	return c
}
