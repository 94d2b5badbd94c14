package pqconn

import (
	"context"
	"database/sql"
	"fmt"
	"net"
	"net/url"
	"os"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/lib/pq"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/entsignal/signalbus/internal/faultproxy"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func databaseURL(t *testing.T) *url.URL {
	t.Helper()
	dsn := os.Getenv("ENTSIGNAL_TEST_POSTGRES")
	require.NotEmpty(t, dsn, "set ENTSIGNAL_TEST_POSTGRES to the URL of a PostgreSQL, such as postgres://user:password@127.0.0.1:5432/db?sslmode=disable")
	u, err := url.Parse(dsn)
	require.True(t, err == nil && u.Host != "", "ENTSIGNAL_TEST_POSTGRES must be a URL with a host")
	return u
}

func open(t *testing.T, dsn string, opts ...Option) *sql.DB {
	t.Helper()
	db, err := Open(dsn, opts...)
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// newProxy returns a proxy to the database, and its URL behind it.
func newProxy(t *testing.T) (*faultproxy.Proxy, string) {
	t.Helper()
	return faultproxy.ForURL(t, databaseURL(t).String(), "5432")
}

func TestQueriesWork(t *testing.T) {
	t.Parallel()
	db := open(t, databaseURL(t).String())
	var n int
	require.NoError(t, db.QueryRowContext(t.Context(), "SELECT $1::int + 1", 41).Scan(&n))
	assert.Equal(t, 42, n)
}

// hang is what only a call that hangs reaches.
const hang = 2 * time.Minute

// ends fails the test if f hangs.
func ends(t *testing.T, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	select {
	case <-done:
	case <-time.After(hang):
		t.Error("it hangs")
	}
}

// prepare calls f until it has no error. It is for what comes before the network
// breaks: on a busy machine it may take longer than the timeout under test.
func prepare(t *testing.T, f func() error) {
	t.Helper()
	var err error
	require.Eventually(t, func() bool { err = f(); return err == nil }, hang, time.Millisecond, func() string { return fmt.Sprint(err) })
}

// cancelWhenItSleeps returns a context that ends when the server runs pg_sleep for
// the application.
func cancelWhenItSleeps(t *testing.T, application string) context.Context {
	t.Helper()
	server := open(t, databaseURL(t).String())
	ctx, cancel := context.WithCancel(t.Context())
	watched := make(chan struct{})
	t.Cleanup(func() { cancel(); <-watched })
	go func() {
		defer close(watched)
		defer cancel()
		for sleeping := 0; sleeping == 0 && ctx.Err() == nil; {
			err := server.QueryRowContext(ctx, "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1 AND wait_event = 'PgSleep'", application).Scan(&sleeping)
			if ctx.Err() == nil && !assert.NoError(t, err) {
				return
			}
		}
	}()
	return ctx
}

func TestDeadNetworkEndsAQuery(t *testing.T) {
	t.Parallel()
	proxy, proxyURL := newProxy(t)
	db := open(t, proxyURL, WithTimeout(1500*time.Millisecond), WithConnectTimeout(500*time.Millisecond))
	prepare(t, db.Ping)
	proxy.BlackHole(true)

	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	ends(t, func() {
		_, err := db.ExecContext(ctx, "SELECT 1")
		assert.Error(t, err)
	})
}

func TestDeadNetworkEndsATransaction(t *testing.T) {
	t.Parallel()
	proxy, proxyURL := newProxy(t)
	const timeout = 500 * time.Millisecond
	db := open(t, proxyURL, WithTimeout(timeout), WithConnectTimeout(timeout))
	var tx *sql.Tx
	prepare(t, func() (err error) { tx, err = db.BeginTx(t.Context(), nil); return err })
	proxy.BlackHole(true)
	ends(t, func() { assert.Error(t, tx.Commit(), "a commit has no context at all") })
}

func TestDeadNetworkEndsConnecting(t *testing.T) {
	t.Parallel()
	for name, setting := range map[string]struct {
		query string
		opt   time.Duration
	}{
		"option": {"", 300 * time.Millisecond},
		"DSN":    {"connect_timeout=1", time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			proxy, proxyURL := newProxy(t)
			proxy.BlackHole(true)
			u, err := url.Parse(proxyURL)
			require.NoError(t, err)
			u.RawQuery += "&" + setting.query
			db := open(t, u.String(), WithConnectTimeout(setting.opt), WithTimeout(time.Hour))
			ends(t, func() { assert.Error(t, db.PingContext(t.Context())) })
		})
	}
}

func TestTimeoutBoundsTheLongestStatement(t *testing.T) {
	t.Parallel()
	db := open(t, databaseURL(t).String(), WithTimeout(300*time.Millisecond))
	prepare(t, db.Ping)
	_, err := db.ExecContext(t.Context(), "SELECT pg_sleep(20)")
	var timeout net.Error
	require.ErrorAs(t, err, &timeout)
	assert.True(t, timeout.Timeout())
	prepare(t, db.Ping) // the pool recovers
}

func TestIdleConnectionOutlivesTheTimeout(t *testing.T) {
	t.Parallel()
	proxy, proxyURL := newProxy(t)
	const timeout = 2 * time.Second
	db := open(t, proxyURL, WithTimeout(timeout))
	prepare(t, db.Ping)
	before := proxy.Accepted()
	// A statement on another connection lets the timeout pass.
	other := open(t, databaseURL(t).String())
	_, err := other.ExecContext(t.Context(), "SELECT pg_sleep($1)", (timeout + timeout/10).Seconds())
	require.NoError(t, err)
	require.NoError(t, db.PingContext(t.Context()))
	assert.Equal(t, before, proxy.Accepted(), "the idle connection was replaced")
}

func TestCancelGoesThroughTheSameDialer(t *testing.T) {
	t.Parallel()
	proxy, proxyURL := newProxy(t)
	const application = "TestCancelGoesThroughTheSameDialer"
	db := open(t, proxyURL+"&application_name="+application)
	_, err := db.ExecContext(cancelWhenItSleeps(t, application), "SELECT pg_sleep(20)")
	var pqErr *pq.Error
	require.ErrorAs(t, err, &pqErr, "the server itself must have ended it")
	assert.EqualValues(t, "57014", pqErr.Code)
	assert.EqualValues(t, 2, proxy.Accepted())
}

func TestUnusableDSNIsRefusedWithoutShowingIt(t *testing.T) {
	t.Parallel()
	for _, dsn := range []string{
		"", "  ", "postgres://u:s3c%ret@host/db", "mysql://u:s3cret@host/db", "postgres://u:s3cret@host:port/db",
		"user=u password=s3cret sslmode=s3cret", "user=u password='s3cret", "postgres://u:s3cret@h/db?connect_timeout=s3cret",
		"host=h port=s3cret", "postgres://u:12/s3cret@host/db",
		"postgres://u:a@s3cret/b@host/db", "postgres://u:a@s3cret?b@host/db", "postgres://u:a@s3cret#b@host/db", "postgres://u:12?s3cret@host/db",
		"mysql://u:s3cret@host/db?parseTime=true", "POSTGRES://u:s3cret@host/db?sslmode=disable", `password="s3cret" pq: wrong value for "s3cret"`,
	} {
		_, err := Open(dsn)
		require.Error(t, err, dsn)
		assert.Regexp(t, "^pqconn: ", err.Error())
		assert.NotContains(t, fmt.Sprintf("%v %+v %#v", err, err, err), "s3c")
	}
	_, err := NewConnector("user=u sslmode=bogus")
	assert.ErrorContains(t, err, `wrong value for "sslmode"`)
}

// A DSN is refused without a word of it, or it leads where its host says: no
// piece of a password is taken for the host, which errors show, nor for the
// name of a parameter, which the server repeats.
func FuzzDSN(f *testing.F) {
	for _, s := range []string{
		"s3cret", "a@b", "a/b", "a@b/c", "a?b", "a#b", "a@b?c=d", "a%b", "a b", "a'b", "[", ":1/", "@other:5432/db?host=other", "\\",
	} {
		f.Add(s, "sslmode=disable")
	}
	f.Add("", "mysql://u:s3cret@host/db?parseTime=true")
	f.Add("", "password='s3cret")
	f.Add("", "port=s3cret")
	settings := map[string]bool{}
	for _, field := range reflect.VisibleFields(reflect.TypeFor[pq.Config]()) {
		settings[strconv.Quote(field.Tag.Get("postgres"))] = true
	}
	f.Fuzz(func(t *testing.T, password, dsn string) {
		for _, dsn := range []string{dsn, "postgres://user:" + password + "@db.example:5433/shop"} {
			_, err := NewConnector(dsn)
			if err != nil {
				setting, isSetting := strings.CutPrefix(err.Error(), "pqconn: the DSN has a wrong value for ")
				switch {
				case isSetting && settings[setting]:
				case err.Error() == "pqconn: the DSN is empty; "+wantDSN:
				case err.Error() == "pqconn: the DSN has an @ behind its host; write / ? # @ in the password percent-encoded; "+wantDSN:
				case err.Error() == "pqconn: the DSN can't be parsed; "+wantDSN:
				default:
					t.Errorf("%q: %v", dsn, err)
				}
				continue
			}
			cfg, err := pq.NewConfig(dsn)
			require.NoError(t, err)
			for name := range cfg.Runtime {
				assert.Regexp(t, `^[A-Za-z_][A-Za-z0-9_.]*$`, name)
			}
			if strings.HasPrefix(dsn, "postgres://user:"+password+"@") {
				assert.Equal(t, "db.example", cfg.Host, "%q", dsn)
				assert.EqualValues(t, 5433, cfg.Port)
			}
		}
	})
}

func TestConnectorAndItsErrorsDontShowThePassword(t *testing.T) {
	t.Parallel()
	connector, err := NewConnector("postgres://nobody:s3cret-pw@127.0.0.1:1/db?sslmode=disable")
	require.NoError(t, err)
	assert.NotContains(t, fmt.Sprintf("%v %+v", connector, connector), "s3cret")
	_, err = connector.Connect(t.Context())
	require.Error(t, err)
	assert.NotContains(t, err.Error(), "s3cret")

	u := databaseURL(t)
	u.User = url.UserPassword("nobody", "s3cret-pw")
	err = open(t, u.String()).PingContext(t.Context())
	require.Error(t, err)
	assert.NotContains(t, err.Error(), "s3cret")
}

func TestUnusableOptionsAreRefused(t *testing.T) {
	t.Parallel()
	for _, opt := range []Option{nil, WithTimeout(0), WithTimeout(-1), WithConnectTimeout(0), WithStatementCache(0), WithStatementCache(-1)} {
		_, err := NewConnector("user=u", opt)
		assert.ErrorContains(t, err, "pqconn: ")
	}
}

func TestConnectionsToAServerThatTakesNoWritesAreReplaced(t *testing.T) {
	t.Parallel()
	for _, opts := range [][]Option{nil, {WithStatementCache(10)}} {
		proxy, proxyURL := newProxy(t)
		db := open(t, proxyURL+"&default_transaction_read_only=on", opts...)
		db.SetMaxIdleConns(3)
		var conns []*sql.Conn
		for range 3 {
			c, err := db.Conn(t.Context())
			require.NoError(t, err)
			conns = append(conns, c)
		}
		for _, c := range conns {
			require.NoError(t, c.Close())
		}
		require.EqualValues(t, 3, proxy.Accepted())
		_, err := db.ExecContext(t.Context(), "CREATE TABLE not_created (v int)")
		var refused *pq.Error
		require.ErrorAs(t, err, &refused, "the error is the server's")
		assert.EqualValues(t, "25006", refused.Code)
		require.NoError(t, db.PingContext(t.Context()))
		assert.EqualValues(t, 4, proxy.Accepted(), "all three were old")
		assert.Equal(t, 1, db.Stats().OpenConnections)

		tx, err := db.BeginTx(t.Context(), &sql.TxOptions{ReadOnly: true})
		require.NoError(t, err)
		_, err = tx.ExecContext(t.Context(), "CREATE TABLE not_created (v int)")
		require.Error(t, err)
		require.NoError(t, tx.Rollback())
		_, err = db.ExecContext(t.Context(), "SELECT 1/0")
		require.Error(t, err)
		require.NoError(t, db.PingContext(t.Context()))
		assert.EqualValues(t, 4, proxy.Accepted(), "the program asked for that, and other errors say nothing about the server")
	}
}
