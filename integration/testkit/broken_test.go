package testkit

import (
	"context"
	stdsql "database/sql"
	"database/sql/driver"
	"errors"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
	"github.com/lib/pq"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal/entsignaltest"
	"github.com/entsignal/signalbus/integration/internal/testdb"
)

// flaws are databases that break one promise each. Where a function is nil, the
// database does as it should.
var flaws = map[string]flaw{
	"forgets commits":             {commit: driver.Tx.Rollback},
	"forgets deletions":           {commitDeletion: driver.Tx.Rollback},
	"commits what is rolled back": {rollback: driver.Tx.Commit},
	"ignores savepoints": {rewrite: func(query string) string {
		if strings.HasPrefix(query, "ROLLBACK TO") {
			return "SELECT 1"
		}
		return query
	}},
	"gives everybody the turn": {rewrite: func(query string) string {
		query = strings.Replace(query, "pg_try_advisory_xact_lock(", "pg_try_advisory_xact_lock_shared(", 1)
		if strings.Contains(query, "FOR UPDATE") && !strings.Contains(query, "SKIP LOCKED") {
			query += " SKIP LOCKED"
		}
		return query
	}},
	"forgets the order": {rewrite: func(query string) string {
		if strings.Contains(query, "FOR UPDATE") && !strings.Contains(query, "SKIP LOCKED") { // an ordered flush
			query = regexp.MustCompile(`ORDER BY [^ ]+`).ReplaceAllString(query, "$0 DESC")
		}
		return query
	}},
	"refuses a second transaction": {alone: true},
}

type flaw struct {
	commit, commitDeletion, rollback func(driver.Tx) error
	rewrite                          func(query string) string
	alone                            bool
}

// broken says which flaw a check of the suite must find, and with which text.
var broken = []struct{ check, flaw, text string }{
	{"a commit sends its signals and deletes them", "forgets commits", `"signal 1" was sent 0 times; expected once`},
	{"each flush sends and deletes", "forgets commits", "flush 1 of 3 sent 0 of 10: <nil>"},
	{"each flush sends and deletes", "forgets the order", "flush 3 of 3 sent 4 of 10"},
	{"what is rolled back is not sent", "commits what is rolled back", `"lost" was sent; expected that it isn't`},
	{"what failed stays", "ignores savepoints", "2 of 6 signals failed, but FlushMany returned 0"},
	{"a sender that panics loses nothing", "commits what is rolled back", `the table has []; expected ["signal 1" "signal 2"]`},
	{"flushes at once send each row once", "forgets deletions", "times; expected once"},
	{"writers and flushes don't disturb each other", "refuses a second transaction", errOther.Error()},
	{"ordered flushes take turns", "gives everybody the turn", "returned <nil>; expected entsignal.ErrBusy"},
	{"a flush whose context has ended sends nothing", "forgets commits", `the table has []; expected ["signal 1"]`},
	{"a deletion that the connection loses repeats at most", "commits what is rolled back", `the table has []; expected ["signal 1"]`},
	{"a deletion whose answer is lost repeats nothing", "forgets deletions", `the table has ["signal 1"]; expected []`},
}

var errOther = errors.New("another transaction is open")

const childMode = "ENTSIGNAL_TESTKIT_CHILD"

// A check that can't fail proves nothing. Each runs in a process of its own, as it fails.
func TestDatabaseThatBreaksAPromiseFails(t *testing.T) {
	if name := os.Getenv(childMode); name != "" {
		entsignaltest.TestDatabase(t, func(t testing.TB) dialect.Driver {
			inner, err := pq.NewConnector(testdb.New(t, testdb.PostgreSQL).DSN)
			require.NoError(t, err)
			pool := stdsql.OpenDB(&flawedConnector{Connector: inner, flaw: flaws[name]})
			t.Cleanup(func() { pool.Close() })
			return entsql.OpenDB(dialect.Postgres, pool)
		})
		return
	}
	for _, b := range broken {
		t.Run(b.check+" finds that one "+b.flaw, func(t *testing.T) {
			t.Parallel()
			check := strings.ReplaceAll(b.check, " ", "_")
			child := exec.CommandContext(ctx(t), os.Args[0], "-test.run=^TestDatabaseThatBreaksAPromiseFails$/^"+regexp.QuoteMeta(check)+"$")
			child.Env = append(child.Environ(), childMode+"="+b.flaw)
			out, err := child.CombinedOutput()
			require.Error(t, err, "%s", out)
			assert.Contains(t, string(out), "--- FAIL: TestDatabaseThatBreaksAPromiseFails/"+check)
			assert.Contains(t, string(out), b.text)
		})
	}
}

// Each check of the suite is among those that are seen to fail.
func TestEachCheckOfTheSuiteIsSeenToFail(t *testing.T) {
	out, err := exec.CommandContext(ctx(t), os.Args[0], "-test.v", "-test.run=^TestDatabasesKeepToTheirContract$/^sqlite$").CombinedOutput()
	require.NoError(t, err, "%s", out)
	checks := regexp.MustCompile(`(?m)^ *--- PASS: TestDatabasesKeepToTheirContract/sqlite/(\S+) `).FindAllStringSubmatch(string(out), -1)
	require.NotEmpty(t, checks)
	for _, check := range checks {
		name := strings.ReplaceAll(check[1], "_", " ")
		assert.True(t, slices.ContainsFunc(broken, func(b struct{ check, flaw, text string }) bool { return b.check == name }), name)
	}
}

// flawedConnector makes connections with a flaw.
type flawedConnector struct {
	driver.Connector
	flaw
	open atomic.Int64 // transactions
}

func (c *flawedConnector) Connect(ctx context.Context) (driver.Conn, error) {
	inner, err := c.Connector.Connect(ctx)
	return &flawedConn{Conn: inner, c: c}, err
}

// flawedConn passes everything on to lib/pq, but for the flaw.
type flawedConn struct {
	driver.Conn
	c       *flawedConnector
	deleted bool // in the open transaction
}

func (c *flawedConn) query(query string) string {
	c.deleted = c.deleted || strings.Contains(query, "DELETE FROM")
	if c.c.rewrite != nil {
		query = c.c.rewrite(query)
	}
	return query
}

func (c *flawedConn) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	if c.c.open.Add(1) > 1 && c.c.alone {
		c.c.open.Add(-1)
		return nil, errOther
	}
	c.deleted = false
	tx, err := c.Conn.(driver.ConnBeginTx).BeginTx(ctx, opts)
	if err != nil {
		c.c.open.Add(-1)
	}
	return flawedTx{tx, c}, err
}

func (c *flawedConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	return c.Conn.(driver.ExecerContext).ExecContext(ctx, c.query(query), args)
}

func (c *flawedConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	return c.Conn.(driver.QueryerContext).QueryContext(ctx, c.query(query), args)
}

func (c *flawedConn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	return c.Conn.(driver.ConnPrepareContext).PrepareContext(ctx, c.query(query))
}

func (c *flawedConn) CheckNamedValue(v *driver.NamedValue) error {
	return c.Conn.(driver.NamedValueChecker).CheckNamedValue(v)
}

type flawedTx struct {
	driver.Tx
	conn *flawedConn
}

func (x flawedTx) Commit() error {
	f := x.conn.c.flaw
	if x.conn.deleted && f.commitDeletion != nil {
		return x.end(f.commitDeletion)
	}
	if f.commit != nil {
		return x.end(f.commit)
	}
	return x.end(driver.Tx.Commit)
}

func (x flawedTx) Rollback() error {
	if f := x.conn.c.flaw; f.rollback != nil {
		return x.end(f.rollback)
	}
	return x.end(driver.Tx.Rollback)
}

func (x flawedTx) end(how func(driver.Tx) error) error {
	defer x.conn.c.open.Add(-1)
	return how(x.Tx)
}
