package shop_test

import (
	stdsql "database/sql"
	"fmt"
	"testing"

	entsql "entgo.io/ent/dialect/sql"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/entsignal/pqconn"
	"github.com/entsignal/signalbus/integration/internal/testdb"
	"github.com/entsignal/signalbus/integration/shop/ent"
)

// PostgreSQL keeps the plan of a statement that stays prepared, also when the
// table has grown since: what was best for a handful of rows reads all of a
// backlog for each batch.
func TestBacklogThatComesToASmallTableIsNotScanned(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]struct {
		kind testdb.Kind
		pool func(t *testing.T, db *testdb.DB) *stdsql.DB
	}{
		"lib/pq": {testdb.PostgreSQL, func(t *testing.T, db *testdb.DB) *stdsql.DB { return db.Open(t) }},
		"pgx":    {testdb.PGX, func(t *testing.T, db *testdb.DB) *stdsql.DB { return db.Open(t) }},
		"pqconn": {testdb.PostgreSQL, func(t *testing.T, db *testdb.DB) *stdsql.DB {
			pool, err := pqconn.Open(db.DSN, pqconn.WithStatementCache(100))
			require.NoError(t, err)
			return pool
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := testdb.New(t, open.kind)
			pool := open.pool(t, db)
			pool.SetMaxOpenConns(3)
			s := newShop(t)
			bus, err := ent.NewSignalBus(s.senders)
			require.NoError(t, err)
			s.db, s.bus, s.Client = db, bus, ent.NewClient(ent.Driver(entsql.OpenDB(db.Dialect, pool)), ent.WithSignalBus(bus))
			s.createTables(t)
			admin := db.Open(t)
			exec := func(statement string) {
				t.Helper()
				_, err := admin.Exec(statement)
				require.NoError(t, err)
			}
			exec("ALTER TABLE audit_loggeds SET (autovacuum_enabled = false)")
			// More often than PostgreSQL looks at the arguments of a statement.
			for range 10 {
				exec("INSERT INTO audit_loggeds (number) SELECT i FROM generate_series(1, 5) i; ANALYZE audit_loggeds")
				_, err := s.AuditLogged.FlushMany(ctx(t), entsignal.Burst(2))
				require.NoError(t, err)
			}
			const backlog = 2_000
			exec(fmt.Sprintf("INSERT INTO audit_loggeds (number) SELECT i FROM generate_series(1, %d) i", backlog))
			n, err := s.AuditLogged.FlushMany(ctx(t), entsignal.Burst(2))
			require.NoError(t, err)
			assert.Equal(t, backlog, n)
			require.NoError(t, s.bus.Close(ctx(t)))
			require.NoError(t, s.Client.Close())
			assert.Less(t, scanned(t, admin), 3*backlog, "rows that were read by scans of the whole table")
		})
	}
}

// scanned returns how many rows all sessions that have ended read by scans of
// the whole table.
func scanned(t *testing.T, admin *stdsql.DB) (n int) {
	t.Helper()
	deadline := ctx(t)
	ask := func(query string) (n int) {
		require.NoError(t, admin.QueryRowContext(deadline, query).Scan(&n))
		return n
	}
	// A session counts what it did before it ends.
	for ask("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()") > 0 {
	}
	return ask("SELECT seq_tup_read FROM pg_stat_user_tables WHERE relname = 'audit_loggeds'")
}
