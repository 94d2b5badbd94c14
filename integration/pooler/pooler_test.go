// Package pooler sends signals through a PgBouncer that gives out its
// connections for one transaction each, beside other programs.
package pooler

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal/pqconn"
	"github.com/entsignal/signalbus/integration/internal/server"
	"github.com/entsignal/signalbus/integration/internal/testdb"
)

var bouncer *server.PgBouncer

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) (code int) {
	var err error
	bouncer, err = server.StartPgBouncer()
	defer func() {
		if err := bouncer.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// A way is how a program reaches the database through the pooler.
type way struct {
	name string
	open func(dsn string) (*sql.DB, error)
	// bare: statements outside of transactions may have arguments. Those of the
	// bus have none.
	bare bool
	// plain: it can't write JSON.
	plain bool
}

func opened(driver, setting string) func(string) (*sql.DB, error) {
	return func(dsn string) (*sql.DB, error) { return sql.Open(driver, dsn+setting) }
}

// ways are those of docs/databases.md, and what is left of lib/pq without its
// setting.
var ways = []way{
	{"lib-pq", opened("postgres", ""), false, false},
	{"lib-pq binary_parameters", opened("postgres", "&binary_parameters=yes"), true, true},
	{"pqconn", func(dsn string) (*sql.DB, error) { return pqconn.Open(dsn) }, false, false},
	{"pqconn binary_parameters", func(dsn string) (*sql.DB, error) { return pqconn.Open(dsn + "&binary_parameters=yes") }, true, true},
	{"pgx exec", opened("pgx", "&default_query_exec_mode=exec"), true, false},
	{"pgx cache_describe", opened("pgx", "&default_query_exec_mode=cache_describe"), true, false},
	{"pgx simple_protocol", opened("pgx", "&default_query_exec_mode=simple_protocol"), true, false},
}

// each runs test in each of the ways, on a database of its own that other
// programs keep busy through the same pooler.
func each(t *testing.T, write schema, test func(t *testing.T, w way, dsn string)) {
	t.Helper()
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			db := testdb.New(t, testdb.PostgreSQL)
			createTables(t, db, write)
			dsn, err := bouncer.Through(db.DSN)
			require.NoError(t, err)
			beBusy(t, dsn)
			test(t, w, dsn)
		})
	}
}

// driver returns an ent driver over a new pool.
func (w way) driver(t testing.TB, dsn string) *entsql.Driver {
	t.Helper()
	pool, err := w.open(dsn)
	require.NoError(t, err)
	t.Cleanup(func() { _ = pool.Close() })
	return entsql.OpenDB(dialect.Postgres, pool)
}

// schema writes the statements that create the tables.
type schema func(ctx context.Context, drv dialect.Driver, statements *strings.Builder) error

// writing has the migrations of ent take turns: they share state.
var writing sync.Mutex

// createTables creates tables, by the direct way.
func createTables(t testing.TB, db *testdb.DB, write schema) {
	t.Helper()
	writing.Lock()
	defer writing.Unlock()
	drv := db.Driver(t)
	var statements strings.Builder
	require.NoError(t, write(ctx(t), drv, &statements))
	require.NoError(t, drv.Exec(ctx(t), statements.String(), []any{}, nil))
}

// beBusy has other programs use the pooler until the test ends: in their
// transactions, and outside of them with statements that lib/pq prepares first,
// on whatever connection it gets for that. Their errors are their own. With as many
// arguments as a statement of the test they would run that one. They cancel
// nothing: PgBouncer 1.18 may end itself ("server in bad state: 11") when it gets a
// cancel request.
func beBusy(t testing.TB, dsn string) {
	t.Helper()
	ctx := context.Background()
	var (
		all  sync.WaitGroup
		over atomic.Bool
	)
	for range 4 {
		all.Go(func() {
			db, err := sql.Open("postgres", dsn)
			if err != nil {
				return
			}
			defer db.Close()
			for !over.Load() {
				var n int
				if tx, err := db.BeginTx(ctx, nil); err == nil {
					_ = tx.QueryRowContext(ctx, "SELECT $1::int + 1", 1).Scan(&n)
					_ = tx.Commit()
				}
				_ = db.QueryRowContext(ctx, "SELECT $1::int + $2::int + $3::int + $4::int + $5::int + $6::int + $7::int + $8::int", 1, 2, 3, 4, 5, 6, 7, 8).Scan(&n)
			}
		})
	}
	t.Cleanup(func() {
		over.Store(true)
		all.Wait()
	})
}

// ctx returns a context that ends a test that hangs.
func ctx(t testing.TB) context.Context {
	c, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	return c
}

// numbers are the messages that arrived, in their order.
type numbers struct {
	mu  sync.Mutex
	all []int
}

func (n *numbers) add(number int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.all = append(n.all, number)
}

// take returns what arrived since the last call.
func (n *numbers) take() []int {
	n.mu.Lock()
	defer n.mu.Unlock()
	all := n.all
	n.all = nil
	return all
}

// sorted is take, for what comes in any order.
func (n *numbers) sorted() []int {
	all := n.take()
	slices.Sort(all)
	return all
}
