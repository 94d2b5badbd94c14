package drivers_test

import (
	"context"
	stdsql "database/sql"
	"database/sql/driver"
	"path/filepath"
	"testing"

	"entgo.io/ent"
	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
	"github.com/XSAM/otelsql"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	_ "github.com/mattn/go-sqlite3"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/entsignal/pqconn"
	generated "github.com/entsignal/signalbus/integration/drivers/ent"
	"github.com/entsignal/signalbus/integration/internal/testdb"
)

// through is a way to a database.
type through struct {
	name string
	on   []testdb.Kind // nil: all
	open func(t *testing.T, db *testdb.DB) dialect.Driver
	// unknown: it isn't ent's driver over a pool, so what is created outside of a
	// transaction stays pending, unless the application vouches for it.
	unknown string // the name of its type in the log
	noTx    bool   // ent can't begin a transaction with it
	noFlush string // why the bus can't
}

var (
	postgres = []testdb.Kind{testdb.PostgreSQL}
	some     = []testdb.Kind{testdb.PostgreSQL, testdb.MariaDB, testdb.SQLite}
)

var ways = []through{
	{name: "ent's own", open: func(t *testing.T, db *testdb.DB) dialect.Driver { return db.Driver(t) }},
	{name: "debug", open: func(t *testing.T, db *testdb.DB) dialect.Driver { return dialect.Debug(db.Driver(t), quiet) }},
	{name: "debug with context", open: func(t *testing.T, db *testdb.DB) dialect.Driver {
		return dialect.DebugWithContext(db.Driver(t), func(context.Context, ...any) {})
	}},
	{name: "debug of debug", on: some, open: func(t *testing.T, db *testdb.DB) dialect.Driver {
		return dialect.DebugWithContext(dialect.Debug(dialect.Debug(db.Driver(t), quiet), quiet), func(context.Context, ...any) {})
	}},
	{name: "otelsql", on: some, open: func(t *testing.T, db *testdb.DB) dialect.Driver {
		return pool(t, db, otelsql.OpenDB(connector{db.Open(t), db.DSN, db.Open(t).Driver()}))
	}},
	{name: "no driver behind", on: some, open: func(t *testing.T, db *testdb.DB) dialect.Driver {
		return pool(t, db, stdsql.OpenDB(connector{db.Open(t), db.DSN, nil}))
	}},
	{name: "pqconn", on: postgres, open: func(t *testing.T, db *testdb.DB) dialect.Driver {
		p, err := pqconn.Open(db.DSN, pqconn.WithStatementCache(10))
		require.NoError(t, err)
		return pool(t, db, p)
	}},
	{name: "pgxpool", on: postgres, open: func(t *testing.T, db *testdb.DB) dialect.Driver {
		p, err := pgxpool.New(ctx(t), db.DSN)
		require.NoError(t, err)
		t.Cleanup(p.Close)
		return pool(t, db, stdlib.OpenDBFromPool(p))
	}},
	{name: "mattn", on: []testdb.Kind{testdb.SQLite}, open: func(t *testing.T, db *testdb.DB) dialect.Driver {
		p, err := stdsql.Open("sqlite3", "file:"+filepath.Clean(fileOf(t, db))+"?_txlock=immediate&_journal_mode=WAL&_busy_timeout=5000&_foreign_keys=1")
		require.NoError(t, err)
		return pool(t, db, p)
	}},
	{name: "read/write split", unknown: "drivers_test.split", open: func(t *testing.T, db *testdb.DB) dialect.Driver {
		return split{reads: db.Driver(t), writes: db.Driver(t)}
	}},
	{name: "comments", on: some, unknown: "drivers_test.commented", open: func(t *testing.T, db *testdb.DB) dialect.Driver {
		return commented{Driver: db.Driver(t), tags: map[string]string{"app": "bank"}}
	}},
	{name: "embeds ent's", on: some, unknown: "*drivers_test.embedding", open: func(t *testing.T, db *testdb.DB) dialect.Driver {
		return &embedding{db.Driver(t)}
	}},
	{name: "debug of its own", on: some, unknown: "*drivers_test.embedding", open: func(t *testing.T, db *testdb.DB) dialect.Driver {
		return dialect.Debug(&embedding{db.Driver(t)}, quiet)
	}},
	{name: "its own transactions", on: some, unknown: "*drivers_test.own", open: func(t *testing.T, db *testdb.DB) dialect.Driver {
		return &own{db.Driver(t)}
	}},
	{name: "wrapped executor", on: some, unknown: "drivers_test.executor", noTx: true, noFlush: "expected a *sql.DB", open: func(t *testing.T, db *testdb.DB) dialect.Driver {
		return entsql.NewDriver(db.Dialect, entsql.Conn{ExecQuerier: executor{db.Open(t)}})
	}},
	{name: "no BeginTx", on: postgres, unknown: "drivers_test.plain", noFlush: "drivers_test.plain can't start a transaction", open: func(t *testing.T, db *testdb.DB) dialect.Driver {
		return plain{db.Driver(t)}
	}},
	{name: "*sql.Conn", on: some, unknown: "*sql.Conn", noTx: true, noFlush: "*sql.Conn can't start a transaction", open: func(t *testing.T, db *testdb.DB) dialect.Driver {
		conn, err := db.Open(t).Conn(ctx(t))
		require.NoError(t, err)
		t.Cleanup(func() { conn.Close() })
		return entsql.NewDriver(db.Dialect, entsql.Conn{ExecQuerier: conn})
	}},
}

// each runs test on each way to each of its databases.
func each(t *testing.T, test func(t *testing.T, db *testdb.DB, way through)) {
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			t.Parallel()
			on := way.on
			if on == nil {
				on = testdb.All
			}
			testdb.On(t, on, func(t *testing.T, db *testdb.DB) {
				createTables(t, db)
				test(t, db, way)
			})
		})
	}
}

// clients are a client and those that it makes.
func clients(c *generated.Client) map[string]*generated.Client {
	return map[string]*generated.Client{"client": c, "Debug()": c.Debug(), "Debug().Debug()": c.Debug().Debug(), "copy": c.Copy()}
}

func TestSignalsOfATransactionAreCollectedWhateverTheDriver(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db *testdb.DB, way through) {
		if way.noTx {
			return
		}
		p := open(t, way.open(t, db))
		var want []int
		for name, c := range clients(p.Client) {
			from := len(want)
			tx, err := c.Tx(ctx(t))
			require.NoError(t, err, name)
			tx.MoneyMoved.Create().SetNumber(from + 1).ExecX(ctx(t))
			tx.Client().Debug().MoneyMoved.Create().SetNumber(from + 2).ExecX(ctx(t))
			tx.MoneyMoved.MapCreateBulk([]int{3, 4}, func(c *generated.MoneyMovedCreate, i int) { c.SetNumber(from + 3 + i) }).ExecX(ctx(t))
			require.NoError(t, tx.Commit(), name)
			want = append(want, from+1, from+2, from+3, from+4)
		}
		if way.noFlush != "" {
			require.NotEmpty(t, p.errors.all())
			require.ErrorContains(t, p.errors.all()[0], way.noFlush)
			assert.Contains(t, p.log.String(), way.noFlush)
			return
		}
		for name, c := range clients(p.Client) {
			number := len(want) + 1
			require.NoError(t, c.Atomic(ctx(t), func(ctx context.Context, tx *generated.Tx) error {
				return tx.MoneyMoved.Create().SetNumber(number).Exec(ctx)
			}), name)
			want = append(want, number)
		}
		assert.ElementsMatch(t, want, p.moved.Keys())
		assert.Empty(t, p.errors.all())
		assert.Zero(t, pending(t, db))
	})
}

func TestSignalsOutsideOfATransactionAreSentOrItIsLogged(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db *testdb.DB, way through) {
		p := open(t, way.open(t, db))
		want := create(t, p)
		if way.unknown == "" {
			assert.ElementsMatch(t, want, p.moved.Keys())
			assert.Empty(t, p.errors.all())
			assert.Zero(t, pending(t, db))
			return
		}
		assert.Empty(t, p.moved.Keys())
		assert.Equal(t, len(want), pending(t, db))
		require.Len(t, p.errors.all(), 1, "once")
		require.ErrorIs(t, p.errors.all()[0], entsignal.ErrNotCollected)
		require.ErrorContains(t, p.errors.all()[0], way.unknown)
		require.ErrorContains(t, p.errors.all()[0], "WithAutocommitDriver")
		assert.Contains(t, p.log.String(), way.unknown)
		n, err := open(t, db.Driver(t)).bus.Flush(ctx(t), entsignal.Wait(0))
		require.NoError(t, err)
		assert.Equal(t, len(want), n)
	})
}

func TestDriverThatTheApplicationVouchesForIsAPool(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, db *testdb.DB, way through) {
		p := open(t, way.open(t, db), entsignal.WithAutocommitDriver())
		want := create(t, p)
		if way.noFlush != "" && db.Dialect != dialect.SQLite { // where claims need no transaction
			require.NotEmpty(t, p.errors.all())
			require.ErrorContains(t, p.errors.all()[0], way.noFlush)
			return
		}
		assert.ElementsMatch(t, want, p.moved.Keys())
		assert.Empty(t, p.errors.all())
		assert.Zero(t, pending(t, db))
	})
}

// create creates signals outside of a transaction.
func create(t *testing.T, p *program) (numbers []int) {
	t.Helper()
	for _, c := range clients(p.Client) {
		from := len(numbers)
		c.MoneyMoved.Create().SetNumber(from + 1).ExecX(ctx(t))
		c.MoneyMoved.MapCreateBulk([]int{2, 3}, func(c *generated.MoneyMovedCreate, i int) { c.SetNumber(from + 2 + i) }).ExecX(ctx(t))
		numbers = append(numbers, from+1, from+2, from+3)
	}
	return numbers
}

func TestNothingIsLoggedOfADriverWhoseSignalsStayPendingAnyway(t *testing.T) {
	t.Parallel()
	db := testdb.New(t, testdb.SQLite)
	createTables(t, db)
	p := open(t, &embedding{db.Driver(t)})
	p.bus.SetAutoFlush(false)
	create(t, p)
	assert.Empty(t, p.errors.all())
	assert.NotContains(t, p.log.String(), "embedding")
}

func TestTransactionThatEntDoesNotKnowIsLoggedAndNeverVouchedFor(t *testing.T) {
	t.Parallel()
	testdb.On(t, some, func(t *testing.T, db *testdb.DB) {
		createTables(t, db)
		tx, err := db.Open(t).Begin()
		require.NoError(t, err)
		p := open(t, entsql.NewDriver(db.Dialect, entsql.Conn{ExecQuerier: tx}), entsignal.WithAutocommitDriver())
		want := create(t, p)
		require.Len(t, p.errors.all(), 1, "once")
		require.ErrorIs(t, p.errors.all()[0], entsignal.ErrNotCollected)
		require.ErrorContains(t, p.errors.all()[0], "*sql.Tx")
		require.NoError(t, tx.Commit())
		assert.Equal(t, len(want), pending(t, db))
	})
}

func quiet(...any) {}

// pool returns ent's driver over a pool, which ends with the test.
func pool(t *testing.T, db *testdb.DB, p *stdsql.DB) dialect.Driver {
	t.Cleanup(func() { p.Close() })
	return entsql.OpenDB(db.Dialect, p)
}

// fileOf returns the path of a SQLite database.
func fileOf(t *testing.T, db *testdb.DB) (path string) {
	t.Helper()
	require.NoError(t, db.Open(t).QueryRow("SELECT file FROM pragma_database_list WHERE name = 'main'").Scan(&path))
	return path
}

// connector connects as another pool does, and names any driver.
type connector struct {
	pool *stdsql.DB
	dsn  string
	of   driver.Driver
}

func (c connector) Connect(context.Context) (driver.Conn, error) { return c.pool.Driver().Open(c.dsn) }

func (c connector) Driver() driver.Driver { return c.of }

// split reads from one pool and writes to another, as ent's documentation shows.
type split struct{ reads, writes dialect.Driver }

func (s split) Query(ctx context.Context, query string, args, v any) error {
	if ent.QueryFromContext(ctx) == nil { // INSERT ... RETURNING
		return s.writes.Query(ctx, query, args, v)
	}
	return s.reads.Query(ctx, query, args, v)
}

func (s split) Exec(ctx context.Context, query string, args, v any) error {
	return s.writes.Exec(ctx, query, args, v)
}

func (s split) Tx(ctx context.Context) (dialect.Tx, error) { return s.writes.Tx(ctx) }

func (s split) BeginTx(ctx context.Context, opts *stdsql.TxOptions) (dialect.Tx, error) {
	return s.writes.(*entsql.Driver).BeginTx(ctx, opts)
}

func (s split) Dialect() string { return s.writes.Dialect() }
func (s split) Close() error    { return s.writes.Close() }

// commented adds a comment to each statement. It can't be compared.
type commented struct {
	dialect.Driver
	tags map[string]string
}

func (c commented) comment(query string) string { return query + " /* app='" + c.tags["app"] + "' */" }

func (c commented) Exec(ctx context.Context, query string, args, v any) error {
	return c.Driver.Exec(ctx, c.comment(query), args, v)
}

func (c commented) Query(ctx context.Context, query string, args, v any) error {
	return c.Driver.Query(ctx, c.comment(query), args, v)
}

func (c commented) BeginTx(ctx context.Context, opts *stdsql.TxOptions) (dialect.Tx, error) {
	tx, err := c.Driver.(*entsql.Driver).BeginTx(ctx, opts)
	return commentedTx{tx, c}, err
}

func (c commented) Tx(ctx context.Context) (dialect.Tx, error) { return c.BeginTx(ctx, nil) }

type commentedTx struct {
	dialect.Tx
	c commented
}

func (t commentedTx) Exec(ctx context.Context, query string, args, v any) error {
	return t.Tx.Exec(ctx, t.c.comment(query), args, v)
}

func (t commentedTx) Query(ctx context.Context, query string, args, v any) error {
	return t.Tx.Query(ctx, t.c.comment(query), args, v)
}

// embedding has all methods of ent's driver.
type embedding struct{ *entsql.Driver }

// own begins transactions of its own type.
type own struct{ *entsql.Driver }

type ownTx struct{ dialect.Tx }

func (d *own) Tx(ctx context.Context) (dialect.Tx, error) { return d.BeginTx(ctx, nil) }

func (d *own) BeginTx(ctx context.Context, opts *stdsql.TxOptions) (dialect.Tx, error) {
	tx, err := d.Driver.BeginTx(ctx, opts)
	return &ownTx{tx}, err
}

// executor is a pool behind methods of a project's own.
type executor struct{ *stdsql.DB }

// plain has what ent's interface asks for, and no more.
type plain struct{ dialect.Driver }
