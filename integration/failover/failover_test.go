// Package failover sends signals while servers stop taking writes, and others
// take their place.
package failover

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"testing"
	"time"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
	"github.com/go-sql-driver/mysql"
	_ "github.com/jackc/pgx/v5/stdlib"
	_ "github.com/lib/pq"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/entsignal/pqconn"
	"github.com/entsignal/signalbus/integration/internal/server"
	"github.com/entsignal/signalbus/integration/shop/ent"
	"github.com/entsignal/signalbus/internal/faultproxy"
	"github.com/entsignal/signalbus/internal/testlog"
)

var servers *server.Replicated

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) (code int) {
	var err error
	servers, err = server.StartReplicated()
	defer func() {
		if err := servers.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}()
	if err == nil {
		err = prepare(dialect.Postgres, "postgres", servers.Primary)
	}
	if err == nil {
		err = prepare(dialect.MySQL, "mysql", servers.MariaDB,
			"CREATE USER app@127.0.0.1 IDENTIFIED BY 'app'", "GRANT SELECT, INSERT, UPDATE, DELETE ON entsignal.* TO app@127.0.0.1")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// prepare creates the tables of the shop.
func prepare(name, driver, dsn string, more ...string) error {
	db, err := sql.Open(driver, dsn)
	if err != nil {
		return err
	}
	defer db.Close()
	if err := ent.NewClient(ent.Driver(entsql.OpenDB(name, db))).Schema.Create(context.Background()); err != nil {
		return err
	}
	for _, statement := range more {
		if _, err := db.Exec(statement); err != nil {
			return err
		}
	}
	return nil
}

// relay is a bus that sends audits.
type relay struct {
	*ent.Client
	bus  *entsignal.Bus
	pool *sql.DB
	log  testlog.Log
}

func newRelay(t *testing.T, name string, pool *sql.DB) *relay {
	t.Helper()
	r := &relay{pool: pool}
	var err error
	r.bus, err = ent.NewSignalBus(ent.SignalSenders{
		AuditLogged: func(context.Context, []*ent.AuditLogged) error { return nil },
	}, entsignal.WithMissingSenders(), entsignal.WithLogger(r.log.Logger()))
	require.NoError(t, err)
	r.Client = ent.NewClient(ent.Driver(entsql.OpenDB(name, pool)), ent.WithSignalBus(r.bus))
	t.Cleanup(func() {
		assert.NoError(t, r.bus.Close(ctx(t)))
		pool.Close()
	})
	return r
}

// fails tries to send a signal, in vain.
func (r *relay) fails(t *testing.T, row *ent.AuditLogged) {
	t.Helper()
	n, err := r.AuditLogged.Send(ctx(t), row)
	require.Error(t, err)
	assert.Zero(t, n)
}

const away = "broker or database is unavailable"

// record records a signal at the server of a URL.
func record(t *testing.T, name, driver, dsn string) *ent.AuditLogged {
	t.Helper()
	db, err := sql.Open(driver, dsn)
	require.NoError(t, err)
	defer db.Close()
	row, err := ent.NewClient(ent.Driver(entsql.OpenDB(name, db))).AuditLogged.Create().SetNumber(1).Save(ctx(t))
	require.NoError(t, err)
	return row
}

// keepOpen has a pool keep n idle connections to where its address leads now.
func keepOpen(t *testing.T, pool *sql.DB, n int) {
	t.Helper()
	pool.SetMaxIdleConns(n)
	var conns []*sql.Conn
	for range n {
		c, err := pool.Conn(ctx(t))
		require.NoError(t, err)
		conns = append(conns, c)
	}
	for _, c := range conns {
		require.NoError(t, c.Close())
	}
}

func hostOf(t *testing.T, dsn string) string {
	t.Helper()
	u, err := url.Parse(dsn)
	require.NoError(t, err)
	return u.Host
}

// ctx returns a context that ends a test that hangs.
func ctx(t testing.TB) context.Context {
	c, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	t.Cleanup(cancel)
	return c
}

func TestPoolThatLeadsToAStandbyFindsThePrimaryAgain(t *testing.T) {
	opened := func(driver, setting string, lifetime time.Duration) func(string) (*sql.DB, error) {
		return func(dsn string) (*sql.DB, error) {
			db, err := sql.Open(driver, dsn+setting)
			if err == nil {
				db.SetConnMaxLifetime(lifetime)
			}
			return db, err
		}
	}
	const short = 50 * time.Millisecond
	for name, way := range map[string]struct {
		open     func(dsn string) (*sql.DB, error)
		atOnce   bool // the first failure is the last
		stubborn bool // it connects to no standby at all
	}{
		"pqconn":                       {func(dsn string) (*sql.DB, error) { return pqconn.Open(dsn) }, true, false},
		"pqconn, statements kept":      {func(dsn string) (*sql.DB, error) { return pqconn.Open(dsn, pqconn.WithStatementCache(10)) }, true, false},
		"pqconn, target_session_attrs": {func(dsn string) (*sql.DB, error) { return pqconn.Open(dsn + "&target_session_attrs=read-write") }, true, true},
		"lib-pq, lifetime":             {opened("postgres", "", short), false, false},
		"pgx, lifetime":                {opened("pgx", "", short), false, false},
		"pgx, target_session_attrs":    {opened("pgx", "&target_session_attrs=read-write", short), false, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			proxy, dsn := faultproxy.ForURL(t, servers.Primary, "5432")
			pool, err := way.open(dsn)
			require.NoError(t, err)
			r := newRelay(t, dialect.Postgres, pool)
			row := record(t, dialect.Postgres, "postgres", servers.Primary)
			n, err := r.AuditLogged.Send(ctx(t), row)
			require.NoError(t, err)
			require.Equal(t, 1, n)

			row = record(t, dialect.Postgres, "postgres", servers.Primary)
			proxy.Redirect(hostOf(t, servers.Standby))
			proxy.Cut()
			for range 5 {
				r.fails(t, row)
			}
			assert.Equal(t, 1, r.log.Count(away), "%s", &r.log)
			if !way.stubborn {
				keepOpen(t, pool, 3)
			}

			proxy.Redirect(hostOf(t, servers.Primary))
			if way.atOnce {
				if !way.stubborn {
					r.fails(t, row) // by a connection that is open
				}
				n, err = r.AuditLogged.Send(ctx(t), row)
				require.NoError(t, err)
				require.Equal(t, 1, n)
			} else {
				require.Eventually(t, func() bool {
					n, err := r.AuditLogged.Send(ctx(t), row)
					return err == nil && n == 1
				}, 2*time.Minute, 10*time.Millisecond)
			}
			assert.Equal(t, 1, r.log.Count("are available again"), "%s", &r.log)
		})
	}
}

func TestServerThatTurnsReadOnlyCountsAsAway(t *testing.T) {
	t.Run("pgx", func(t *testing.T) {
		admin, err := sql.Open("postgres", servers.Primary)
		require.NoError(t, err)
		t.Cleanup(func() { admin.Close() })
		set := func(value string) {
			for _, statement := range []string{"ALTER SYSTEM SET default_transaction_read_only = " + value, "SELECT pg_reload_conf()"} {
				_, err := admin.Exec(statement)
				require.NoError(t, err)
			}
			require.Eventually(t, func() bool {
				var now string
				return admin.QueryRow("SHOW default_transaction_read_only").Scan(&now) == nil && now == value
			}, 2*time.Minute, time.Millisecond)
		}
		row := record(t, dialect.Postgres, "postgres", servers.Primary)
		pool, err := sql.Open("pgx", servers.Primary)
		require.NoError(t, err)
		r := newRelay(t, dialect.Postgres, pool)
		set("on")
		t.Cleanup(func() { set("off") })
		require.Eventually(t, func() bool {
			var now string
			return pool.QueryRow("SHOW default_transaction_read_only").Scan(&now) == nil && now == "on"
		}, 2*time.Minute, time.Millisecond)
		for range 3 {
			r.fails(t, row)
		}
		assert.Equal(t, 1, r.log.Count(away), "%s", &r.log)
		set("off")
		require.Eventually(t, func() bool {
			n, err := r.AuditLogged.Send(ctx(t), row)
			return err == nil && n == 1
		}, 2*time.Minute, 10*time.Millisecond)
	})
	for name, reject := range map[string]bool{"mariadb": false, "mariadb, rejectReadOnly": true} {
		t.Run(name, func(t *testing.T) {
			admin, err := sql.Open("mysql", servers.MariaDB)
			require.NoError(t, err)
			t.Cleanup(func() { admin.Close() })
			set := func(setting string) {
				_, err := admin.Exec("SET GLOBAL " + setting)
				require.NoError(t, err)
			}
			cfg, err := mysql.ParseDSN(servers.MariaDB)
			require.NoError(t, err)
			cfg.User, cfg.Passwd, cfg.RejectReadOnly = "app", "app", reject
			proxy := faultproxy.New(t, cfg.Addr)
			cfg.Addr = proxy.Addr()
			row := record(t, dialect.MySQL, "mysql", servers.MariaDB)
			pool, err := sql.Open("mysql", cfg.FormatDSN())
			require.NoError(t, err)
			pool.SetMaxOpenConns(1)
			r := newRelay(t, dialect.MySQL, pool)
			require.NoError(t, pool.Ping())
			before := proxy.Accepted()
			set("read_only = 1")
			t.Cleanup(func() { set("read_only = 0") })
			for range 3 {
				r.fails(t, row)
			}
			assert.Equal(t, 1, r.log.Count(away), "%s", &r.log)
			assert.Equal(t, reject, proxy.Accepted() > before, "whether the connections were replaced")
			set("read_only = 0")
			n, err := r.AuditLogged.Send(ctx(t), row)
			require.NoError(t, err)
			assert.Equal(t, 1, n)
		})
	}
}

// What the program does in a transaction that is to be read-only, or in vain,
// ends no connection.
func TestReadOnlyTransactionOfTheProgramEndsNoConnection(t *testing.T) {
	proxy, dsn := faultproxy.ForURL(t, servers.Primary, "5432")
	pool, err := pqconn.Open(dsn)
	require.NoError(t, err)
	defer pool.Close()
	pool.SetMaxOpenConns(1)
	tx, err := pool.BeginTx(ctx(t), &sql.TxOptions{ReadOnly: true})
	require.NoError(t, err)
	_, err = tx.Exec("DELETE FROM audit_loggeds")
	require.ErrorContains(t, err, "read-only")
	require.NoError(t, tx.Rollback())
	_, err = pool.Exec("SELECT 1/0")
	require.Error(t, err)
	require.NoError(t, pool.Ping())
	assert.EqualValues(t, 1, proxy.Accepted())
}

// A statement outside of a transaction is noticed too: here one of the
// application, on a server that became read-only by a setting.
func TestStatementThatTheServerRefusesToRunReplacesTheConnections(t *testing.T) {
	proxy, dsn := faultproxy.ForURL(t, servers.Standby, "5432")
	pool, err := pqconn.Open(dsn)
	require.NoError(t, err)
	defer pool.Close()
	keepOpen(t, pool, 3)
	require.EqualValues(t, 3, proxy.Accepted())
	for range 2 {
		_, err = pool.Exec("DELETE FROM audit_loggeds WHERE id = $1", -1)
		require.ErrorContains(t, err, "read-only")
	}
	assert.EqualValues(t, 4, proxy.Accepted(), "one for the three")
	require.NoError(t, pool.Ping())
	assert.EqualValues(t, 5, proxy.Accepted())
}
