package testkit

import (
	"context"
	stdsql "database/sql"
	"testing"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/entsignal/entsignaltest"
	"github.com/entsignal/signalbus/integration/internal/testdb"
	"github.com/entsignal/signalbus/integration/shop/ent"
)

// faulty opens a shop on a database that fails on demand.
func faulty(t *testing.T, db *testdb.DB) (*shop, *entsignaltest.Database, *[]error) {
	t.Helper()
	drv, database := entsignaltest.Driver(t, db.Driver(t))
	reported := new([]error)
	senders, outbox := entsignaltest.Senders[ent.SignalSenders](t)
	bus, err := ent.NewSignalBus(senders, outbox.Option(),
		entsignal.WithErrorHandler(func(_ context.Context, err error) { *reported = append(*reported, err) }))
	require.NoError(t, err)
	client := ent.NewClient(ent.Driver(drv), ent.WithSignalBus(bus))
	createTables(t, db, client)
	return &shop{client, bus, outbox}, database, reported
}

// inTx records an order in a transaction and returns the error of the commit.
func inTx(t *testing.T, s *shop, number int) error {
	t.Helper()
	tx, err := s.Tx(ctx(t))
	require.NoError(t, err)
	tx.OrderPlaced.Create().SetNumber(number).ExecX(ctx(t))
	return tx.Commit()
}

func TestDriverWithoutAFaultChangesNothing(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		s, database, reported := faulty(t, db)
		fault := database.LoseCommit(1)
		fault.Stop()
		require.NoError(t, inTx(t, s, 1))
		s.order(t, 2)
		s.AuditLogged.Create().SetNumber(1).ExecX(ctx(t))
		s.ShipmentDue.Create().SetCustomer("Ada").SetNumber(1).ExecX(ctx(t))
		require.NoError(t, s.outbox.Drain(ctx(t)))
		assert.Equal(t, []int{1, 2}, numbers(entsignaltest.Sent[*ent.OrderPlaced](s.outbox)))
		entsignaltest.One[*ent.AuditLogged](s.outbox)
		entsignaltest.One[*ent.ShipmentDue](s.outbox)
		assert.Empty(t, *reported)
		assert.Zero(t, fault.Struck())
	})
}

func TestCommitOfTheProgramLosesItsAnswer(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		s, database, _ := faulty(t, db)
		fault := database.LoseCommit(1)
		err := inTx(t, s, 1)
		require.ErrorIs(t, err, entsignaltest.ErrConnectionLost)
		assert.Equal(t, 1, fault.Struck())
		entsignaltest.None[*ent.OrderPlaced](s.outbox)
		assert.Equal(t, 1, pending(t, s), "it was committed")
		require.NoError(t, s.outbox.Drain(ctx(t)))
		entsignaltest.One[*ent.OrderPlaced](s.outbox)
		assert.Equal(t, 1, fault.Struck())
	})
}

func TestCommitOfTheDeletionLosesItsAnswer(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		s, database, reported := faulty(t, db)
		fault := database.LoseCommit(2)
		require.NoError(t, inTx(t, s, 1))
		assert.Equal(t, 1, fault.Struck())
		require.Len(t, *reported, 1)
		assert.ErrorIs(t, (*reported)[0], entsignaltest.ErrConnectionLost)
		assert.Zero(t, pending(t, s), "the error was wrong, as it may be")
		require.NoError(t, s.outbox.Drain(ctx(t)))
		entsignaltest.One[*ent.OrderPlaced](s.outbox)
	})
}

func TestDeletionThatIsLostRepeatsTheMessageWhereTheDatabaseForgetsIt(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		s, database, reported := faulty(t, db)
		fault := database.LoseDelete(1)
		require.NoError(t, inTx(t, s, 1))
		assert.Equal(t, 1, fault.Struck())
		require.Len(t, *reported, 1)
		assert.ErrorIs(t, (*reported)[0], entsignaltest.ErrConnectionLost)
		want := []int{1, 1}
		if db.Dialect == dialect.SQLite { // the process deletes it a moment later
			want = []int{1}
		} else {
			assert.Equal(t, 1, pending(t, s))
		}
		require.NoError(t, s.outbox.Drain(ctx(t)))
		assert.Equal(t, want, numbers(entsignaltest.Sent[*ent.OrderPlaced](s.outbox)))
		assert.Zero(t, pending(t, s))
		assert.Equal(t, 1, fault.Struck())
	})
}

func TestDriverWorksOnADatabaseInMemory(t *testing.T) {
	pool, err := stdsql.Open("sqlite", ":memory:?_pragma=foreign_keys(1)")
	require.NoError(t, err)
	defer pool.Close()
	pool.SetMaxOpenConns(1)
	drv, database := entsignaltest.Driver(t, entsql.OpenDB(dialect.SQLite, pool))
	senders, outbox := entsignaltest.Senders[ent.SignalSenders](t)
	bus, err := ent.NewSignalBus(senders, outbox.Option())
	require.NoError(t, err)
	client := ent.NewClient(ent.Driver(drv), ent.WithSignalBus(bus))
	require.NoError(t, client.Schema.Create(ctx(t)))
	fault := database.LoseDelete(1)
	client.OrderPlaced.Create().SetNumber(1).ExecX(ctx(t))
	assert.Equal(t, 1, fault.Struck())
	require.NoError(t, outbox.Drain(ctx(t)))
	entsignaltest.One[*ent.OrderPlaced](outbox)
}

func TestMisuseOfTheDriverFailsTheTest(t *testing.T) {
	db := testdb.New(t, testdb.SQLite)
	text := failure(t, func(t testing.TB) {
		_, database := entsignaltest.Driver(t, db.Driver(t))
		database.LoseCommit(0)
	})
	assert.Contains(t, text, "LoseCommit: transaction 0; expected a number of 1 or more")
	conn, err := db.Open(t).Conn(ctx(t))
	require.NoError(t, err)
	defer conn.Close()
	text = failure(t, func(t testing.TB) {
		entsignaltest.Driver(t, entsql.NewDriver(dialect.SQLite, entsql.Conn{ExecQuerier: conn}))
	})
	assert.Contains(t, text, "Driver: ent's driver over *sql.Conn; expected ent's driver over a *sql.DB")
}

func TestStatementOutsideOfATransactionIsATransactionToo(t *testing.T) {
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		s, database, _ := faulty(t, db)
		fault := database.LoseCommit(1)
		err := s.AuditLogged.Create().SetNumber(1).Exec(ctx(t))
		require.ErrorIs(t, err, entsignaltest.ErrConnectionLost)
		assert.Equal(t, 1, s.AuditLogged.Query().CountX(ctx(t)), "it was committed")
		assert.Equal(t, 1, fault.Struck())
		deletion := database.LoseDelete(2)
		require.NoError(t, s.AuditLogged.Update().SetNumber(2).Exec(ctx(t)))
		first, err := s.AuditLogged.Delete().Exec(ctx(t))
		require.NoError(t, err)
		assert.Equal(t, 1, first)
		_, err = s.AuditLogged.Delete().Exec(ctx(t))
		require.ErrorIs(t, err, entsignaltest.ErrConnectionLost)
		assert.Equal(t, 1, deletion.Struck())
	})
}
