package faults

import (
	"context"
	"database/sql"
	"net/url"
	"path/filepath"
	"testing"
	"time"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/entsignal/pqconn"
	"github.com/entsignal/signalbus/entsignal/rabbitmq"
	"github.com/entsignal/signalbus/integration/internal/server"
	"github.com/entsignal/signalbus/integration/internal/testdb"
)

// drivers open a PostgreSQL database.
var drivers = map[string]func(dsn string) (*sql.DB, error){
	"pqconn": func(dsn string) (*sql.DB, error) { return pqconn.Open(dsn) },
	"pgx":    func(dsn string) (*sql.DB, error) { return sql.Open("pgx", dsn) },
}

// verified returns a DSN that asks for the server at a host to be verified.
func verified(t *testing.T, dsn, host, authority string) string {
	t.Helper()
	u, err := url.Parse(dsn)
	require.NoError(t, err)
	u.Host = host + ":" + u.Port()
	u.RawQuery = url.Values{"sslmode": {"verify-full"}, "sslrootcert": {authority}}.Encode()
	return u.String()
}

// trusting returns an AMQP URL of a host that trusts an authority.
func trusting(t *testing.T, host, authority string) string {
	t.Helper()
	u, err := url.Parse(own.AMQPS)
	require.NoError(t, err)
	u.Host = host + ":" + u.Port()
	u.RawQuery = url.Values{"cacertfile": {authority}}.Encode()
	return u.String()
}

func TestSignalsTravelEncryptedBothWays(t *testing.T) {
	t.Setenv("ENTSIGNAL_TEST_POSTGRES", own.Postgres)
	for name, open := range drivers {
		t.Run(name, func(t *testing.T) {
			db := newDatabase(t)
			pool, err := open(verified(t, db.DSN, "localhost", authority.File))
			require.NoError(t, err)
			t.Cleanup(func() { pool.Close() })
			var encrypted bool
			require.NoError(t, pool.QueryRowContext(ctx(t), "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").Scan(&encrypted))
			assert.True(t, encrypted)

			r := newRelayOn(t, entsql.OpenDB(dialect.Postgres, pool), trusting(t, "localhost", authority.File))
			r.audit(t, 1, 20)
			n, err := r.AuditLogged.FlushMany(ctx(t), entsignal.Burst(10))
			require.NoError(t, err)
			assert.Equal(t, 20, n)
			require.NoError(t, r.OrderPlaced.Create().SetNumber(1).Exec(ctx(t)))
			r.assertReceived(t, 20, 0, "order 1")
		})
	}
}

func TestServersThatCannotBeTrustedAreRefused(t *testing.T) {
	stranger, err := server.NewAuthority(filepath.Join(t.TempDir(), "stranger.pem"))
	require.NoError(t, err)
	refused := func(t *testing.T, host, trusted, says string) {
		for name, open := range drivers {
			pool, err := open(verified(t, own.Postgres, host, trusted))
			require.NoError(t, err)
			t.Cleanup(func() { pool.Close() })
			// PostgreSQL reads a new certificate when it comes to it.
			require.Eventually(t, func() bool { return pool.PingContext(ctx(t)) != nil }, 2*time.Minute, 10*time.Millisecond, name)
			assert.ErrorContains(t, pool.PingContext(ctx(t)), says, name)
		}
		log := &logs{}
		pub, err := rabbitmq.NewPublisher(trusting(t, host, trusted), rabbitmq.WithLogger(log.Logger()))
		require.NoError(t, err)
		defer pub.Close(context.Background()) //nolint:errcheck // it never connected
		err = pub.Publish(ctx(t), rabbitmq.Message{RoutingKey: "q"})
		require.ErrorContains(t, err, says)
		assert.True(t, entsignal.IsUnavailable(err), "its messages stay")
		assert.Contains(t, log.String(), says)
	}
	t.Run("unknown authority", func(t *testing.T) {
		refused(t, "localhost", stranger.File, "certificate signed by unknown authority")
	})
	t.Run("another host", func(t *testing.T) {
		refused(t, "127.0.0.1", authority.File, "cannot validate certificate for 127.0.0.1")
	})
	t.Run("expired", func(t *testing.T) {
		t.Cleanup(func() { certify(t, time.Now().Add(time.Hour)) })
		certify(t, time.Now().Add(-time.Hour))
		refused(t, "localhost", authority.File, "certificate has expired")
	})
}

// certify gives the servers a certificate that is valid until then.
func certify(t *testing.T, until time.Time) {
	t.Helper()
	require.NoError(t, authority.Issue(own.Certificates, "localhost", until))
	require.NoError(t, own.Certify())
}

// What sslmode=require doesn't do, and verify-full does.
func TestRequireEncryptsAndTrustsAnybody(t *testing.T) {
	t.Setenv("ENTSIGNAL_TEST_POSTGRES", own.Postgres)
	u, err := url.Parse(testdb.New(t, testdb.PostgreSQL).DSN)
	require.NoError(t, err)
	u.RawQuery = "sslmode=require"
	for name, open := range drivers {
		pool, err := open(u.String())
		require.NoError(t, err)
		t.Cleanup(func() { pool.Close() })
		assert.NoError(t, pool.PingContext(ctx(t)), name)
	}
}
