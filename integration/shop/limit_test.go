package shop_test

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"entgo.io/ent/dialect"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/integration/internal/testdb"
	"github.com/entsignal/signalbus/integration/shop/ent"
	"github.com/entsignal/signalbus/internal/testlog"
)

// hold locks the first audit, as a transaction does that changes it, and
// returns what lets it go.
func hold(t *testing.T, db *testdb.DB) (release func()) {
	t.Helper()
	tx, err := db.Open(t).Begin()
	require.NoError(t, err)
	t.Cleanup(func() { _ = tx.Rollback() })
	rows, err := tx.Query("SELECT id FROM audit_loggeds WHERE number = 1 FOR UPDATE")
	require.NoError(t, err)
	require.NoError(t, rows.Close())
	return func() {
		t.Helper()
		require.NoError(t, tx.Rollback())
	}
}

// with returns the same database with a setting of its sessions.
func with(db *testdb.DB, setting string) *testdb.DB {
	set := *db
	set.DSN += "&" + setting
	return &set
}

// MySQL takes back only the statement when a lock wait is too long for it; a
// transaction that went on then would delete what it didn't send.
func TestLockWaitThatTheServerEndsLeavesAllAsItWas(t *testing.T) {
	t.Parallel()
	testdb.On(t, []testdb.Kind{testdb.PostgreSQL, testdb.PGX, testdb.MariaDB}, func(t *testing.T, db *testdb.DB) {
		s := open(t, db)
		s.audit(t, 3)
		release := hold(t, db)
		limit, says := "lock_timeout=200", "lock timeout"
		if db.Dialect == dialect.MySQL {
			limit, says = "innodb_lock_wait_timeout=1", "Lock wait timeout exceeded"
		}
		impatient := newShop(t)
		impatient.open(t, with(db, limit))
		n, err := impatient.AuditLogged.FlushOrdered(ctx(t))
		require.ErrorContains(t, err, says)
		assert.Zero(t, n)
		assert.Empty(t, impatient.audits.Keys())
		assert.Equal(t, 3, s.pending(t, "AuditLogged"))

		release()
		n, err = s.AuditLogged.FlushOrdered(ctx(t))
		require.NoError(t, err, "the turn is free")
		assert.Equal(t, 3, n)
	})
}

// The drivers' own errors say only that somebody cancelled the statement.
func TestEndOfTheContextWithinAStatementIsTheError(t *testing.T) {
	t.Parallel()
	testdb.On(t, []testdb.Kind{testdb.PostgreSQL, testdb.PGX, testdb.MariaDB}, func(t *testing.T, db *testdb.DB) {
		s := open(t, db)
		s.audit(t, 1)
		hold(t, db)
		c, cancel := context.WithTimeout(ctx(t), 200*time.Millisecond)
		defer cancel()
		_, err := s.AuditLogged.FlushOrdered(c)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, 1, s.pending(t, "AuditLogged"))
	})
}

// A limit of the server on idle transactions that is below the time of a
// sender makes its messages repeat: the error says so.
func TestIdleLimitOfTheServerRepeatsAndSaysSo(t *testing.T) {
	t.Parallel()
	testdb.On(t, []testdb.Kind{testdb.PostgreSQL, testdb.PGX}, func(t *testing.T, db *testdb.DB) {
		s := open(t, db)
		s.audit(t, 1)
		limited := newShop(t)
		limited.open(t, with(db, "idle_in_transaction_session_timeout=500"))
		pool := db.Open(t)
		limited.audits.Before(func(ctx context.Context, _ []*ent.AuditLogged) error {
			assert.Eventually(t, func() bool {
				claims := -1
				err := pool.QueryRowContext(ctx, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in transaction%'").Scan(&claims)
				return err == nil && claims == 0
			}, 2*time.Minute, 5*time.Millisecond, "the server doesn't end the claim")
			return nil
		})
		n, err := limited.AuditLogged.FlushMany(ctx(t))
		require.ErrorContains(t, err, "sent, but the deletion failed, so it will be sent again")
		assert.Zero(t, n)
		assert.Equal(t, []int{1}, limited.audits.Keys())
		assert.Equal(t, 1, s.pending(t, "AuditLogged"))
		n, err = s.AuditLogged.FlushMany(ctx(t))
		require.NoError(t, err)
		assert.Equal(t, 1, n)
	})
}

func TestIdleLimitBelowTheFlushTimeoutIsSaidOnce(t *testing.T) {
	t.Parallel()
	testdb.On(t, []testdb.Kind{testdb.PostgreSQL, testdb.PGX, testdb.MariaDB}, func(t *testing.T, db *testdb.DB) {
		direct := open(t, db)
		name, below, above := "idle_in_transaction_session_timeout", "1999", "2000"
		if db.Dialect == dialect.MySQL {
			name, below, above = "idle_transaction_timeout", "1", "2"
		}
		// A flush of each kind may be the first.
		for _, flush := range []func(*shop) error{
			func(s *shop) error { return s.OrderPlaced.Create().SetNumber(1).Exec(ctx(t)) },
			func(s *shop) error { _, err := s.AuditLogged.FlushMany(ctx(t)); return err },
			func(s *shop) error { _, err := s.AuditLogged.FlushOrdered(ctx(t)); return err },
		} {
			for limit, want := range map[string]int{below: 1, above: 0, "0": 0} {
				direct.audit(t, 2)
				log := &testlog.Log{}
				s := newShop(t)
				s.open(t, with(db, name+"="+limit), entsignal.WithFlushTimeout(2*time.Second), entsignal.WithLogger(log.Logger()))
				require.NoError(t, flush(s))
				require.NoError(t, flush(s))
				said := slices.DeleteFunc(log.Lines(), func(line string) bool { return !strings.Contains(line, "setting="+name) })
				assert.Len(t, said, want, "limit %s", limit)
				for _, line := range said {
					assert.Contains(t, line, "level=WARN")
					assert.Contains(t, line, "flush_timeout=2s")
				}
			}
		}
	})
}

func TestSQLiteWithoutWALOrABusyTimeoutIsSaidOnce(t *testing.T) {
	t.Parallel()
	dsn := func(pragmas string) *testdb.DB {
		return &testdb.DB{Kind: testdb.SQLite, DSN: "file:" + filepath.Join(t.TempDir(), "shop.db") + "?_txlock=immediate&_pragma=foreign_keys(1)" + pragmas}
	}
	for pragmas, want := range map[string][]string{
		"&_pragma=journal_mode(WAL)&_pragma=busy_timeout(1000)":    nil,
		"&_pragma=journal_mode(DELETE)&_pragma=busy_timeout(1000)": {"setting=journal_mode value=delete"},
		"&_pragma=journal_mode(DELETE)&_pragma=busy_timeout(0)":    {"setting=journal_mode value=delete", "setting=busy_timeout value=0"},
	} {
		log := &testlog.Log{}
		s := open(t, dsn(pragmas), entsignal.WithLogger(log.Logger()))
		for number := range 2 {
			require.NoError(t, s.OrderPlaced.Create().SetNumber(number).Exec(ctx(t)))
		}
		assert.Equal(t, len(want), log.Count("setting="), pragmas)
		for _, w := range want {
			assert.Equal(t, 1, log.Count(w), "%s: %s", pragmas, w)
		}
	}
}
