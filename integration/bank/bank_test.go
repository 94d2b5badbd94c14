package bank_test

import (
	"context"
	"database/sql"
	"io"
	"testing"
	"time"

	"entgo.io/ent/dialect"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/entsignal/entsignaltest"
	"github.com/entsignal/signalbus/integration/bank/ent"
	"github.com/entsignal/signalbus/integration/internal/recorder"
	"github.com/entsignal/signalbus/integration/internal/testdb"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bank is an application: a client, its bus, and a sender that records.
type bank struct {
	*ent.Client
	bus   *entsignal.Bus
	db    *testdb.DB
	moved *recorder.Recorder[*ent.MoneyMoved, int]
}

// each runs test with a bank on each kind of database.
func each(t *testing.T, test func(t *testing.T, b *bank)) {
	t.Helper()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) { test(t, open(t, db)) })
}

// open opens a bank on the database, and creates its tables.
func open(t *testing.T, db *testdb.DB) *bank {
	t.Helper()
	senders, outbox := entsignaltest.Senders[ent.SignalSenders](t)
	b := &bank{db: db, moved: recorder.New(outbox, func(s *ent.MoneyMoved) int { return s.Number })}
	bus, err := ent.NewSignalBus(senders)
	require.NoError(t, err)
	b.bus = bus
	b.Client = ent.NewClient(ent.Driver(db.Driver(t)), ent.WithSignalBus(bus))
	db.CreateTables(t, func(w io.Writer) error { return b.Schema.WriteTo(t.Context(), w) })
	t.Cleanup(func() {
		c, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		defer cancel()
		assert.NoError(t, bus.Close(c))
		b.noneOpen(t)
	})
	return b
}

// noneOpen fails the test if a transaction was left open in the database.
func (b *bank) noneOpen(t *testing.T) {
	t.Helper()
	if b.db.Dialect != dialect.Postgres {
		return
	}
	pool := b.db.Open(t)
	defer pool.Close()
	var open int
	require.NoError(t, pool.QueryRow("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in transaction%'").Scan(&open))
	assert.Zero(t, open, "transactions left open")
}

// account creates an account.
func (b *bank) account(t *testing.T, owner string) *ent.Account {
	t.Helper()
	a, err := b.Account.Create().SetOwner(owner).Save(ctx(t))
	require.NoError(t, err)
	return a
}

// balance returns what is in the account.
func (b *bank) balance(t *testing.T, id int) int {
	t.Helper()
	a, err := b.Account.Get(ctx(t), id)
	require.NoError(t, err)
	return a.Balance
}

// pool opens the database beside the bank.
func (b *bank) pool(t *testing.T) *sql.DB { return b.db.Open(t) }

func (b *bank) isSQLite() bool { return b.db.Dialect == dialect.SQLite }

// ctx returns a context that ends a test that hangs.
func ctx(t *testing.T) context.Context {
	c, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	t.Cleanup(cancel)
	return c
}
