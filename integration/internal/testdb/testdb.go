// Package testdb gives each test an empty database of its own, on every
// database that the library supports. A server that isn't there fails the
// test: see integration/services.
package testdb

import (
	"database/sql"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
	"github.com/go-sql-driver/mysql"
	_ "github.com/jackc/pgx/v5/stdlib"
	_ "github.com/lib/pq"
	"github.com/stretchr/testify/require"
	_ "modernc.org/sqlite"

	"github.com/entsignal/signalbus/entsignal/pqconn"
	"github.com/entsignal/signalbus/internal/faultproxy"
)

// Kind is a database together with the driver that it is reached through.
type Kind struct {
	Name    string // the name of its subtests
	Dialect string // ent's name of the database
	driver  string // database/sql's name of the driver
	create  func(t testing.TB, k Kind) (dsn string)
}

// The kinds that the library supports.
var (
	PostgreSQL = Kind{"postgres", dialect.Postgres, "postgres", createPostgres}
	PGX        = Kind{"pgx", dialect.Postgres, "pgx", createPostgres}
	MariaDB    = Kind{"mariadb", dialect.MySQL, "mysql", createMariaDB}
	SQLite     = Kind{"sqlite", dialect.SQLite, "sqlite", createSQLite}
)

// All are all kinds.
var All = []Kind{PostgreSQL, PGX, MariaDB, SQLite}

// Each runs test on an empty database of each kind, side by side.
func Each(t *testing.T, test func(t *testing.T, db *DB)) {
	t.Helper()
	On(t, All, test)
}

// On runs test on an empty database of each of the kinds.
func On(t *testing.T, kinds []Kind, test func(t *testing.T, db *DB)) {
	t.Helper()
	for _, k := range kinds {
		t.Run(k.Name, func(t *testing.T) {
			t.Parallel()
			test(t, New(t, k))
		})
	}
}

// DB is one database.
type DB struct {
	Kind
	DSN string
}

// New creates an empty database, and drops it when the test is over.
func New(t testing.TB, k Kind) *DB {
	t.Helper()
	return &DB{Kind: k, DSN: k.create(t, k)}
}

// Open returns a new pool of connections to the database.
func (db *DB) Open(t testing.TB) *sql.DB {
	t.Helper()
	pool, err := sql.Open(db.driver, db.DSN)
	require.NoError(t, err)
	t.Cleanup(func() { pool.Close() })
	return pool
}

// Connect returns an ent driver over a new pool, for a program that is no
// test. To PostgreSQL it connects as docs/databases.md tells.
func (db *DB) Connect() (*entsql.Driver, error) {
	open := func() (*sql.DB, error) { return sql.Open(db.driver, db.DSN) }
	if db.Name == PostgreSQL.Name {
		open = func() (*sql.DB, error) { return pqconn.Open(db.DSN, pqconn.WithStatementCache(100)) }
	}
	pool, err := open()
	if err != nil {
		return nil, err
	}
	return entsql.OpenDB(db.Dialect, pool), nil
}

// Driver returns an ent driver over a new pool.
func (db *DB) Driver(t testing.TB) *entsql.Driver {
	t.Helper()
	return entsql.OpenDB(db.Dialect, db.Open(t))
}

// schemas has the statements that create the tables of a project, by its name and the
// dialect. ent's migration is slow, and keeps state that two of them at once would race
// for.
var schemas = struct {
	sync.Mutex
	m map[[2]string]string
}{m: make(map[[2]string]string)}

// schema returns what write has written for the dialect of the database.
func (db *DB) schema(t testing.TB, project string, write func(io.Writer) error) string {
	t.Helper()
	schemas.Lock()
	defer schemas.Unlock()
	key := [2]string{project, db.Dialect}
	if _, ok := schemas.m[key]; !ok {
		var b strings.Builder
		require.NoError(t, write(&b))
		schemas.m[key] = b.String()
	}
	return schemas.m[key]
}

// CreateTables creates the tables of the package under test in the database,
// which must be empty. write writes the statements; it is ent's
// Schema.WriteTo.
func (db *DB) CreateTables(t testing.TB, write func(io.Writer) error) {
	t.Helper()
	db.CreateTablesOf(t, "", write)
}

// CreateTablesOf is [DB.CreateTables] for a package that tests several projects.
func (db *DB) CreateTablesOf(t testing.TB, project string, write func(io.Writer) error) {
	t.Helper()
	driver, dsn := db.driver, db.DSN
	switch db.Dialect { // each takes all statements at once
	case dialect.Postgres:
		driver = "postgres"
	case dialect.MySQL:
		cfg, err := mysql.ParseDSN(dsn)
		require.NoError(t, err)
		cfg.MultiStatements = true
		dsn = cfg.FormatDSN()
	}
	pool, err := sql.Open(driver, dsn)
	require.NoError(t, err)
	defer pool.Close()
	mustExec(t, pool, db.schema(t, project, write))
}

// Through returns the same database behind a proxy that can break the way to
// it.
func (db *DB) Through(t testing.TB) (*DB, *faultproxy.Proxy) {
	t.Helper()
	behind := *db
	if db.Dialect == dialect.MySQL {
		cfg, err := mysql.ParseDSN(db.DSN)
		require.NoError(t, err)
		proxy := faultproxy.New(t, cfg.Addr)
		cfg.Addr = proxy.Addr()
		behind.DSN = cfg.FormatDSN()
		return &behind, proxy
	}
	proxy, dsn := faultproxy.ForURL(t, db.DSN, "5432")
	behind.DSN = dsn
	return &behind, proxy
}

// AsUser returns the same database as another user of the server sees it, the
// name of the database, and the statement that gives the user the password.
func (db *DB) AsUser(t testing.TB, user, password string) (as *DB, database, statement string) {
	t.Helper()
	other := *db
	if db.Dialect == dialect.MySQL {
		cfg, err := mysql.ParseDSN(db.DSN)
		require.NoError(t, err)
		cfg.User, cfg.Passwd = user, password
		other.DSN = cfg.FormatDSN()
		return &other, cfg.DBName, "ALTER USER " + user + " IDENTIFIED BY '" + password + "' ACCOUNT UNLOCK"
	}
	u, err := url.Parse(db.DSN)
	require.NoError(t, err)
	u.User = url.UserPassword(user, password)
	other.DSN = u.String()
	return &other, strings.TrimPrefix(u.Path, "/"), "ALTER ROLE " + user + " PASSWORD '" + password + "'"
}

// WithSerializable returns the same database with SERIALIZABLE as the default
// isolation of its pools.
func (db *DB) WithSerializable(t testing.TB) *DB {
	t.Helper()
	strict := *db
	switch db.Dialect {
	case dialect.Postgres:
		strict.DSN += "&default_transaction_isolation=serializable"
	case dialect.MySQL:
		strict.DSN += "&transaction_isolation=%27SERIALIZABLE%27"
		if isMariaDB(t, db) {
			strict.DSN = db.DSN + "&tx_isolation=%27SERIALIZABLE%27"
		}
	}
	return &strict
}

func isMariaDB(t testing.TB, db *DB) bool {
	t.Helper()
	var version string
	require.NoError(t, db.Open(t).QueryRow("SELECT VERSION()").Scan(&version))
	return strings.Contains(version, "MariaDB")
}

var serial atomic.Int64

// name returns a new name for a database.
func name() string {
	return fmt.Sprintf("es_%d_%d_%d", os.Getpid(), time.Now().UnixNano()%1e9, serial.Add(1))
}

// Env returns the value of an environment variable that names a server.
func Env(t testing.TB, key string) string {
	t.Helper()
	value := os.Getenv(key)
	if value == "" {
		t.Fatalf("%s is not set. `make test` starts the servers and sets it; or: eval \"$(integration/services env)\"", key)
	}
	return value
}

func createPostgres(t testing.TB, _ Kind) string {
	t.Helper()
	u, err := url.Parse(Env(t, "ENTSIGNAL_TEST_POSTGRES"))
	require.NoError(t, err)
	admin, err := sql.Open("postgres", u.String())
	require.NoError(t, err)
	db := name()
	mustExec(t, admin, "CREATE DATABASE "+db)
	t.Cleanup(func() {
		defer admin.Close()
		mustExec(t, admin, "DROP DATABASE IF EXISTS "+db+" WITH (FORCE)")
	})
	u.Path = "/" + db
	q := u.Query()
	if !q.Has("sslmode") {
		q.Set("sslmode", "disable")
	}
	u.RawQuery = q.Encode()
	return u.String()
}

func createMariaDB(t testing.TB, _ Kind) string {
	t.Helper()
	cfg, err := mysql.ParseDSN(Env(t, "ENTSIGNAL_TEST_MARIADB"))
	require.NoError(t, err)
	cfg.ParseTime = true
	admin, err := sql.Open("mysql", cfg.FormatDSN())
	require.NoError(t, err)
	cfg.DBName = name()
	mustExec(t, admin, "CREATE DATABASE "+cfg.DBName)
	t.Cleanup(func() {
		defer admin.Close()
		mustExec(t, admin, "DROP DATABASE "+cfg.DBName)
	})
	return cfg.FormatDSN()
}

func createSQLite(t testing.TB, _ Kind) string {
	t.Helper()
	return "file:" + filepath.Join(t.TempDir(), "test.db") +
		"?_txlock=immediate&_pragma=journal_mode(WAL)&_pragma=busy_timeout(5000)&_pragma=foreign_keys(1)"
}

func mustExec(t testing.TB, db *sql.DB, query string) {
	t.Helper()
	_, err := db.Exec(query)
	require.NoError(t, err, query)
}
