package pqconn

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync/atomic"
	"time"

	"github.com/lib/pq"
)

// An Option changes a [Connector]. [NewConnector] and [Open] return the error
// of an option whose value they can't use.
type Option func(*config) error

type config struct {
	timeout        time.Duration
	connectTimeout time.Duration
	statements     int
}

// WithTimeout bounds each read from and each write to the server, and with it
// the longest statement. The default is 30 s.
func WithTimeout(d time.Duration) Option {
	return func(cfg *config) error {
		cfg.timeout = d
		return positive("WithTimeout", d)
	}
}

// WithConnectTimeout bounds connecting as a whole: TCP, TLS and login. It
// bounds the request to cancel a statement too, which is a connection of its
// own. The default is 5 s; a connect_timeout in the DSN holds if it is shorter.
// With several hosts in the DSN it bounds each.
func WithConnectTimeout(d time.Duration) Option {
	return func(cfg *config) error {
		cfg.connectTimeout = d
		return positive("WithConnectTimeout", d)
	}
}

// WithStatementCache keeps up to n statements prepared on each connection: those
// with arguments that came more than once, the least recently used one going
// first. A kept statement takes one round trip instead of two, and the server
// doesn't parse it again. Without this option none are kept.
//
// What the server knows of a kept statement is of the time when it was prepared:
//
//   - The plan may be one that doesn't look at the arguments, as the server's
//     plan_cache_mode tells. The statements of entsignal are planned anew.
//   - The types of the arguments stay. After a migration that changes the type of a
//     column, the statement may fail once, or it stores a value that went through
//     the old type, until its connection ends: see [sql.DB.SetConnMaxLifetime].
//
// Don't use it behind a pooler that gives out its connections for one transaction
// each and doesn't know prepared statements, as PgBouncer before 1.21 or without
// max_prepared_statements: there a kept statement may be another program's.
func WithStatementCache(n int) Option {
	return func(cfg *config) error {
		cfg.statements = n
		if n <= 0 {
			return fmt.Errorf("pqconn: WithStatementCache: %d is not a positive number of statements", n)
		}
		return nil
	}
}

func positive(name string, d time.Duration) error {
	if d <= 0 {
		return fmt.Errorf("pqconn: %s: %s is not a positive duration", name, d)
	}
	return nil
}

// Connector is a [driver.Connector] on lib/pq, for [sql.OpenDB]. It is safe
// for use by many goroutines. pq.ConnectorWithNoticeHandler and its like can't
// take it: they expect a connection of lib/pq.
type Connector struct {
	pq         *pq.Connector
	statements int // to keep prepared on each connection
	attrs      pq.TargetSessionAttrs
	turns      atomic.Int64 // how often a server was found to be read-only
}

// NewConnector returns a connector for the database at dsn, a URL or a list of
// key=value as lib/pq takes them. It doesn't connect. It returns an error if
// dsn is empty (lib/pq would connect as the user of the operating system) or
// can't be parsed, or if an option can't be used. No error contains dsn.
func NewConnector(dsn string, opts ...Option) (*Connector, error) {
	cfg := config{timeout: 30 * time.Second, connectTimeout: 5 * time.Second}
	for _, opt := range opts {
		if opt == nil {
			return nil, errors.New("pqconn: a nil option")
		}
		if err := opt(&cfg); err != nil {
			return nil, err
		}
	}
	if strings.TrimSpace(dsn) == "" {
		return nil, errors.New("pqconn: the DSN is empty; " + wantDSN)
	}
	if hasAtBehindHost(dsn) {
		return nil, errors.New("pqconn: the DSN has an @ behind its host; write / ? # @ in the password percent-encoded; " + wantDSN)
	}
	pqCfg, err := pq.NewConfig(dsn)
	if err != nil {
		return nil, dsnError(err)
	}
	for name := range pqCfg.Runtime {
		if !parameter.MatchString(name) {
			return nil, errUnreadable
		}
	}
	if pqCfg.ConnectTimeout <= 0 || pqCfg.ConnectTimeout > cfg.connectTimeout {
		pqCfg.ConnectTimeout = cfg.connectTimeout
	}
	connector, err := pq.NewConnectorConfig(pqCfg)
	if err != nil {
		return nil, dsnError(err)
	}
	connector.Dialer(&dialer{timeout: cfg.timeout})
	return &Connector{pq: connector, statements: cfg.statements, attrs: pqCfg.TargetSessionAttrs}, nil
}

// Connect opens a connection within the connect timeout.
func (c *Connector) Connect(ctx context.Context) (driver.Conn, error) {
	born := c.turns.Load()
	conn, err := c.pq.Connect(ctx)
	if err != nil {
		return nil, notConnected(err, c.attrs)
	}
	inner, ok := conn.(pqConn)
	if !ok {
		return nil, errors.Join(fmt.Errorf("pqconn: a connection of this lib/pq (%T) can't do what those of 1.12 can", conn), conn.Close())
	}
	if c.statements > 0 {
		if inner, err = newPreparing(inner, c.statements); err != nil {
			return nil, errors.Join(err, conn.Close())
		}
	}
	return &writable{pqConn: inner, turns: &c.turns, born: born}, nil
}

// Driver returns lib/pq's driver. Connections that are opened by it directly
// have no deadlines.
func (c *Connector) Driver() driver.Driver {
	if c.statements > 0 {
		return keepingDriver{c.pq.Driver()}
	}
	return c.pq.Driver()
}

// keepingDriver tells whoever has a pool that its connections keep statements.
type keepingDriver struct{ driver.Driver }

// KeepsStatements is what entsignal looks for.
func (keepingDriver) KeepsStatements() {}

// Open returns a pool of connections to the database at dsn. It doesn't
// connect. Its errors are those of [NewConnector].
func Open(dsn string, opts ...Option) (*sql.DB, error) {
	connector, err := NewConnector(dsn, opts...)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(connector), nil
}

// hasAtBehindHost reports whether a URL has an @ where none belongs: a bare / ?
// or # in a password ends the host, and a piece of the password would be dialled
// as the host or the port, and shown in the error.
func hasAtBehindHost(dsn string) bool {
	scheme, rest, _ := strings.Cut(dsn, "://")
	if scheme != "postgres" && scheme != "postgresql" {
		return false
	}
	end := strings.IndexAny(rest, "/?#")
	return end >= 0 && strings.Contains(rest[end:], "@")
}

// parameter matches the name of a run-time parameter. lib/pq takes the begin of
// a URL that it doesn't know, up to the first =, for such a name; the server
// would repeat it, with the password in it.
var parameter = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.]*$`)

var errUnreadable = errors.New("pqconn: the DSN can't be parsed; " + wantDSN)

const wantDSN = "want postgres://user:password@host:port/database?sslmode=verify-full " +
	"with special characters percent-encoded, or user=… password=… host=… dbname=…"

// dsnError keeps of lib/pq's error only the name of the setting: the rest
// quotes the DSN, with the password in it.
func dsnError(err error) error {
	setting := regexp.MustCompile(`^pq: wrong value for ("[a-z_]+"|\$PG[A-Z]+)`).FindStringSubmatch(err.Error())
	if setting == nil {
		return errUnreadable
	}
	return fmt.Errorf("pqconn: the DSN has a wrong value for %s", setting[1])
}
