package main

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
	"github.com/go-sql-driver/mysql"

	"github.com/entsignal/signalbus/integration/bench/ent"
)

func databaseName() string {
	return fmt.Sprintf("es_bench_%d_%d", os.Getpid(), time.Now().UnixNano()%1e9)
}

func createPostgres() (*database, error) {
	server, err := serverAddress("ENTSIGNAL_TEST_POSTGRES")
	if err != nil {
		return nil, err
	}
	pid, err := listenerOfURL(server, "5432")
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(server)
	if err != nil {
		return nil, err
	}
	q := u.Query()
	if !q.Has("sslmode") {
		q.Set("sslmode", "disable")
	}
	u.RawQuery = q.Encode()
	return createDatabase("postgres", u.String(), pid, " WITH (FORCE)", func(name string) string {
		u.Path = "/" + name
		return u.String()
	})
}

func createMariaDB() (*database, error) {
	server, err := serverAddress("ENTSIGNAL_TEST_MARIADB")
	if err != nil {
		return nil, err
	}
	pid, err := listenerOfDSN(server)
	if err != nil {
		return nil, err
	}
	cfg, err := mysql.ParseDSN(server)
	if err != nil {
		return nil, err
	}
	cfg.ParseTime = true
	return createDatabase("mysql", cfg.FormatDSN(), pid, "", func(name string) string {
		cfg.DBName = name
		return cfg.FormatDSN()
	})
}

func createDatabase(driver, server string, pid int, dropHow string, dsnOf func(name string) string) (*database, error) {
	admin, err := sql.Open(driver, server)
	if err != nil {
		return nil, err
	}
	name := databaseName()
	if _, err := admin.Exec("CREATE DATABASE " + name); err != nil {
		return nil, err
	}
	drop := func() error {
		defer admin.Close()
		_, err := admin.Exec("DROP DATABASE " + name + dropHow)
		return err
	}
	dsn := dsnOf(name)
	db, err := sql.Open(driver, dsn)
	if err != nil {
		return nil, err
	}
	return &database{dsn: dsn, pid: pid, db: db, drop: drop}, nil
}

func createSQLite() (*database, error) {
	dir, err := os.MkdirTemp("", "entsignal-bench")
	if err != nil {
		return nil, err
	}
	dsn := "file:" + filepath.Join(dir, "bench.db") +
		"?_txlock=immediate&_pragma=journal_mode(WAL)&_pragma=busy_timeout(5000)&_pragma=foreign_keys(1)"
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return nil, err
	}
	return &database{dsn: dsn, db: db, drop: func() error { return os.RemoveAll(dir) }}, nil
}

func (d *database) createTables(ctx context.Context) error {
	return ent.NewClient(ent.Driver(entsql.OpenDB(d.kind, d.db))).Schema.Create(ctx)
}

// worthSettling is for how many new rows a server has work to do later.
const worthSettling = 5000

// filling is the columns of a table, but for the payload, and their values, in which $i
// stands for the number of the row.
type filling struct {
	columns []string
	values  string
}

// tables are all tables that jobs fill.
func tables(keys int) map[string]filling {
	return map[string]filling{
		"orders":    {},
		"receiveds": {},
		"events":    {[]string{"order_id"}, "0"},
		"rankeds":   {[]string{"rank"}, "-$i"}, // the other way round than by id
		"moveds":    {[]string{"account"}, fmt.Sprintf("$i %% %d", max(keys, 1))},
		// PostgreSQL alone. One of a hundred is sampled.
		"traceds": {[]string{"order_id", "signal_recorded_at", "signal_traceparent"}, "0, now(), '00-' || md5($i::text) || '-' || " +
			"substr(md5($i::text), 1, 16) || CASE WHEN $i % 100 = 0 THEN '-01' ELSE '-00' END"},
	}
}

// fill empties the tables and writes n signals into one, by SQL alone: that is quick
// and takes no memory here. Then the server does at once what it would do later, in
// the middle of a measurement.
func (d *database) fill(ctx context.Context, table string, n, keys int, body []byte) error {
	filling := tables(keys)[table]
	value := strings.ReplaceAll(filling.values, "$i", map[string]string{dialect.Postgres: "i", dialect.MySQL: "seq", dialect.SQLite: "i"}[d.kind])
	var before, after []string
	for name := range tables(keys) {
		empty := "TRUNCATE " + name
		switch d.kind {
		case dialect.Postgres:
			empty += " RESTART IDENTITY"
		case dialect.SQLite:
			empty = "DELETE FROM " + name
		}
		before = append(before, empty)
	}
	quote := map[string]string{dialect.MySQL: "`"}[d.kind] // rank is a word of MySQL's
	columns := quote + strings.Join(filling.columns, quote+", "+quote) + quote
	insert := "INSERT INTO " + table + " (" + columns + ", payload) "
	switch d.kind {
	case dialect.Postgres:
		insert += "SELECT " + value + ", $1::bytea FROM generate_series(1, $2) i"
		after = []string{"VACUUM ANALYZE " + table, "CHECKPOINT"}
	case dialect.MySQL:
		insert += "SELECT " + value + ", ? FROM seq_1_to_1000000 WHERE seq <= ?"
		after = []string{"ANALYZE TABLE " + table}
	case dialect.SQLite:
		insert = "WITH RECURSIVE s(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s WHERE i < ?2) " + insert + "SELECT " + value + ", ?1 FROM s"
		after = []string{"ANALYZE", "PRAGMA wal_checkpoint(TRUNCATE)"}
	}
	exec := func(statement string, args ...any) error {
		if _, err := d.db.ExecContext(ctx, statement, args...); err != nil {
			return fmt.Errorf("%s: %s: %w", d.kind, statement, err)
		}
		return nil
	}
	for _, statement := range before {
		if err := exec(statement); err != nil {
			return err
		}
	}
	if n == 0 {
		return nil
	}
	if err := exec(insert, body, n); err != nil {
		return err
	}
	if n < worthSettling {
		return nil
	}
	for _, statement := range after {
		if err := exec(statement); err != nil {
			return err
		}
	}
	return nil
}

// check returns an error unless as many signals are left as there must be.
func (d *database) check(ctx context.Context, table string, want int) error {
	var n int
	if err := d.db.QueryRowContext(ctx, "SELECT COUNT(*) FROM "+table).Scan(&n); err != nil {
		return err
	}
	if n != want {
		return fmt.Errorf("%d %s are left, and not %d", n, table, want)
	}
	return nil
}

// holdSnapshot opens a transaction that sees all that is there now, so that
// the server keeps what is deleted until release is called.
func (d *database) holdSnapshot(ctx context.Context, table string) (release func(), err error) {
	tx, err := d.db.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead})
	if err != nil {
		return nil, err
	}
	var n int
	if err := tx.QueryRowContext(ctx, "SELECT COUNT(*) FROM "+table).Scan(&n); err != nil {
		_ = tx.Rollback()
		return nil, err
	}
	return func() { _ = tx.Rollback() }, nil
}
