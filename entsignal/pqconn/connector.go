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

// An Option configures a [Connector]. [NewConnector] and [Open] return an error for
// an option with an invalid value.
type Option func(*config) error

type config struct {
	timeout        time.Duration
	connectTimeout time.Duration
	statements     int
}

// WithTimeout limits each read from the server and each write to it. So it also
// limits the longest statement. The default is 30 s.
func WithTimeout(d time.Duration) Option {
	return func(cfg *config) error {
		cfg.timeout = d
		return positive("WithTimeout", d)
	}
}

// WithConnectTimeout limits connecting as a whole: TCP, TLS and login. It also
// limits a request to cancel a statement, which uses a connection of its own. The
// default is 5 s. A shorter connect_timeout in the DSN takes precedence. With
// several hosts in the DSN, the limit is per host.
func WithConnectTimeout(d time.Duration) Option {
	return func(cfg *config) error {
		cfg.connectTimeout = d
		return positive("WithConnectTimeout", d)
	}
}

// WithStatementCache keeps up to n statements prepared on each connection. A
// statement with arguments is prepared when it is used for the second time. The
// least recently used one is dropped first. A prepared statement takes one round
// trip instead of two, and the server doesn't parse it again. By default no
// statements are kept.
//
// The server's knowledge of a prepared statement is as old as the statement:
//
//   - The plan may be one that ignores the arguments; see the server's
//     plan_cache_mode. The statements of entsignal are planned again each time.
//   - The types of the arguments don't change. After a migration that changes the
//     type of a column, the statement may fail once, or it stores a value that was
//     converted to the old type, until the connection ends. See
//     [sql.DB.SetConnMaxLifetime].
//
// Don't use it with a pooler that assigns connections per transaction and doesn't
// support prepared statements, such as PgBouncer before 1.21 or without
// max_prepared_statements. There a prepared statement may belong to another
// program.
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

// Connector is a [driver.Connector] based on lib/pq, for [sql.OpenDB]. It is safe
// for concurrent use. pq.ConnectorWithNoticeHandler and similar functions can't
// wrap it, because they expect a connection of lib/pq.
type Connector struct {
	pq         *pq.Connector
	statements int // to keep prepared on each connection
	attrs      pq.TargetSessionAttrs
	turns      atomic.Int64 // how often a server was found to be read-only
}

// NewConnector returns a connector for the database at dsn, a URL or a list of
// key=value pairs as for lib/pq. It doesn't connect. It returns an error if dsn
// can't be parsed, if it is empty (lib/pq would then connect as the user of the
// operating system), or if an option is invalid. No error contains dsn.
func NewConnector(dsn string, opts ...Option) (*Connector, error) {
	cfg, err := newConfig(opts)
	if err != nil {
		return nil, err
	}
	return newConnector(dsn, cfg, &dialer{timeout: cfg.timeout})
}

func newConfig(opts []Option) (config, error) {
	cfg := config{timeout: 30 * time.Second, connectTimeout: 5 * time.Second}
	for _, opt := range opts {
		if opt == nil {
			return cfg, errors.New("pqconn: a nil option")
		}
		if err := opt(&cfg); err != nil {
			return cfg, err
		}
	}
	return cfg, nil
}

// newConnector returns a connector whose connections d opens.
func newConnector(dsn string, cfg config, d pq.Dialer) (*Connector, error) {
	if strings.TrimSpace(dsn) == "" {
		return nil, errors.New("pqconn: the DSN is empty; " + wantDSN)
	}
	if hasAtBehindHost(dsn) {
		return nil, errors.New("pqconn: the DSN has an @ behind its host; write / ? # @ in the password percent-encoded; " + wantDSN)
	}
	pqCfg, err := pq.NewConfig(withHosts(dsn))
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
	connector.Dialer(d)
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

// Driver returns lib/pq's driver. Connections that are opened directly with it have
// no deadlines.
func (c *Connector) Driver() driver.Driver {
	if c.statements > 0 {
		return keepingDriver{c.pq.Driver()}
	}
	return c.pq.Driver()
}

// keepingDriver marks a driver whose connections keep statements prepared.
type keepingDriver struct{ driver.Driver }

// KeepsStatements is the method that entsignal looks for.
func (keepingDriver) KeepsStatements() {}

// Open returns a connection pool for the database at dsn. It doesn't connect. Its
// errors are those of [NewConnector].
func Open(dsn string, opts ...Option) (*sql.DB, error) {
	connector, err := NewConnector(dsn, opts...)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(connector), nil
}

// hasAtBehindHost reports whether a URL has an @ behind its host. An unescaped / ?
// or # in a password ends the host early. A part of the password would then be
// dialled as the host or the port, and shown in the error.
func hasAtBehindHost(dsn string) bool {
	scheme, rest, _ := strings.Cut(dsn, "://")
	if scheme != "postgres" && scheme != "postgresql" {
		return false
	}
	end := strings.IndexAny(rest, "/?#")
	return end >= 0 && strings.Contains(rest[end:], "@")
}

// parameter matches the name of a run-time parameter. lib/pq takes the beginning of
// a URL with an unknown scheme, up to the first =, for such a name. The server
// would repeat it in its error, with the password in it.
var parameter = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.]*$`)

var errUnreadable = errors.New("pqconn: the DSN can't be parsed; " + wantDSN)

const wantDSN = "want postgres://user:password@host:port/database?sslmode=verify-full " +
	"with special characters percent-encoded, or user=… password=… host=… dbname=…"

// dsnError keeps only the name of the setting from lib/pq's error. The rest quotes
// the DSN with the password.
func dsnError(err error) error {
	setting := regexp.MustCompile(`^pq: wrong value for ("[a-z_]+"|\$PG[A-Z]+)`).FindStringSubmatch(err.Error())
	if setting == nil {
		return errUnreadable
	}
	return fmt.Errorf("pqconn: the DSN has a wrong value for %s", setting[1])
}
