package shop_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
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

var postgres = []testdb.Kind{testdb.PostgreSQL, testdb.PGX}

// begin begins a transaction that the application doesn't end at once.
func begin(t testing.TB, db *testdb.DB) *sql.Tx {
	t.Helper()
	tx, err := db.Open(t).Begin()
	require.NoError(t, err)
	t.Cleanup(func() { _ = tx.Rollback() })
	return tx
}

// run runs statements.
func run(t testing.TB, db interface {
	Exec(query string, args ...any) (sql.Result, error)
}, statements ...string) {
	t.Helper()
	for _, statement := range statements {
		_, err := db.Exec(statement)
		require.NoError(t, err, statement)
	}
}

const auditFive = "INSERT INTO audit_loggeds (number, payload) VALUES (5, '')"

// heldBackUntilLate returns the error of an ordered flush whose context ends while
// it is held back.
func (s *shop) heldBackUntilLate(t *testing.T) error {
	t.Helper()
	return lateEnough(t, func(ending context.Context) error {
		_, err := s.AuditLogged.FlushOrdered(ending)
		return err
	}, func(err error) bool { return errors.As(err, new(*entsignal.HeldBackError)) })
}

// heldBack flushes without patience and returns what holds it back.
func (s *shop) heldBack(t testing.TB) *entsignal.HeldBackError {
	t.Helper()
	_, err := s.AuditLogged.FlushOrdered(ctx(t), entsignal.HoldBack(0))
	var held *entsignal.HeldBackError
	require.ErrorAs(t, err, &held)
	var flush *entsignal.FlushError
	require.ErrorAs(t, err, &flush)
	assert.Equal(t, "AuditLogged", flush.Signal)
	return held
}

// auditOne records a signal in a transaction of its own.
func (s *shop) auditOne(t testing.TB, number int) {
	t.Helper()
	s.AuditLogged.Create().SetNumber(number).ExecX(ctx(t))
}

func (s *shop) flushOrdered(t testing.TB) int {
	t.Helper()
	n, err := s.AuditLogged.FlushOrdered(ctx(t))
	require.NoError(t, err)
	return n
}

func TestOrderedFlushWaitsForALowerIDThatIsCommittedLate(t *testing.T) {
	t.Parallel()
	testdb.On(t, postgres, func(t *testing.T, db *testdb.DB) {
		s := open(t, db)
		late, err := s.Tx(ctx(t))
		require.NoError(t, err)
		late.AuditLogged.Create().SetNumber(1).ExecX(ctx(t))
		s.auditOne(t, 2)
		done := make(chan error, 1)
		go func() {
			_, err := s.AuditLogged.FlushOrdered(context.Background())
			done <- err
		}()
		for n := 3; n <= 20; n++ { // no writer waits
			s.auditOne(t, n)
		}
		select {
		case err := <-done:
			t.Fatalf("it didn't wait: %v, error %v", s.audits.Keys(), err)
		case <-time.After(100 * time.Millisecond):
		}
		assert.Empty(t, s.audits.Keys())
		require.NoError(t, late.Commit())
		require.NoError(t, <-done)
		s.flushOrdered(t)
		assert.Equal(t, numbers(20), s.audits.Keys())
	})
}

func TestOrderedFlushSendsWhatIsSafeAndNamesWhoHoldsTheRest(t *testing.T) {
	t.Parallel()
	testdb.On(t, postgres, func(t *testing.T, db *testdb.DB) {
		s := open(t, db)
		s.auditOne(t, 1)
		s.audits.Before(func(context.Context, []*ent.AuditLogged) error { return assert.AnError })
		_, err := s.AuditLogged.FlushOrdered(ctx(t))
		require.ErrorIs(t, err, assert.AnError)
		s.audits.Before(nil)

		named := *db
		u, err := url.Parse(db.DSN)
		require.NoError(t, err)
		q := u.Query()
		q.Set("application_name", "billing")
		u.RawQuery = q.Encode()
		named.DSN = u.String()
		late := begin(t, &named)
		var pid int
		require.NoError(t, late.QueryRow("SELECT pg_backend_pid()").Scan(&pid))
		run(t, late, "INSERT INTO audit_loggeds (number, payload) VALUES (2, '')")
		s.auditOne(t, 3)
		s.auditOne(t, 4)

		held := s.heldBack(t)
		assert.Equal(t, []int{1}, s.audits.Keys(), "what was drawn before the open transaction")
		assert.Equal(t, 2, held.Count)
		assert.Equal(t, "3", held.FirstID)
		assert.Equal(t, "4", held.LastID)
		require.Len(t, held.Blockers, 1)
		by := held.Blockers[0]
		assert.Equal(t, pid, by.PID)
		assert.Equal(t, u.User.Username(), by.User)
		assert.Equal(t, "billing", by.Application)
		assert.Equal(t, "idle in transaction", by.State)
		assert.Positive(t, by.Age)
		assert.Empty(t, by.GID)
		assert.Contains(t, held.Error(), fmt.Sprintf("2 signals, ids 3 to 4, wait for open transactions that may commit lower ids: pid %d of user %s, application \"billing\", idle in transaction, open for ", pid, by.User))

		_, err = s.AuditLogged.FlushOrdered(ctx(t), entsignal.HoldBack(30*time.Millisecond))
		require.ErrorAs(t, err, &held)
		assert.GreaterOrEqual(t, held.Waited, 30*time.Millisecond)
		require.ErrorAs(t, s.heldBackUntilLate(t), &held, "also when the context ends first")

		require.NoError(t, late.Commit())
		assert.Equal(t, 3, s.flushOrdered(t))
		assert.Equal(t, []int{1, 2, 3, 4}, s.audits.Keys())
	})
}

func TestOrderedFlushDoesNotWaitForTransactionsThatBeganLater(t *testing.T) {
	t.Parallel()
	testdb.On(t, postgres, func(t *testing.T, db *testdb.DB) {
		s := open(t, db)
		late := begin(t, db)
		run(t, late, "INSERT INTO audit_loggeds (number, payload) VALUES (1, '')")
		s.auditOne(t, 2)
		held := s.heldBack(t)
		assert.Equal(t, 1, held.Count)
		later := begin(t, db)
		run(t, later, "INSERT INTO audit_loggeds (number, payload) VALUES (3, '')")
		s.auditOne(t, 4)
		require.NoError(t, late.Commit())
		held = s.heldBack(t)
		assert.Equal(t, []int{1, 2}, s.audits.Keys())
		assert.Equal(t, "4", held.FirstID)
		require.NoError(t, later.Rollback())
		s.flushOrdered(t)
		assert.Equal(t, []int{1, 2, 4}, s.audits.Keys())
	})
}

func TestOrderedFlushWithNothingPendingWaitsForNobody(t *testing.T) {
	t.Parallel()
	testdb.On(t, postgres, func(t *testing.T, db *testdb.DB) {
		s := open(t, db)
		late := begin(t, db)
		run(t, late, auditFive)
		assert.Zero(t, s.flushOrdered(t))
		require.NoError(t, late.Commit())
		assert.Equal(t, 1, s.flushOrdered(t))
	})
}

func TestOrderedFlushWaitsForIDsThatAreDrawnWithoutARow(t *testing.T) {
	t.Parallel()
	for name, steps := range map[string]struct{ before, after []string }{
		"nextval first": {
			before: []string{"SELECT nextval('audit_loggeds_id_seq')"},
			after:  []string{"INSERT INTO audit_loggeds (id, number, payload) VALUES (1, 1, '')"},
		},
		"savepoint rolled back": { // which frees the lock of the table
			before: []string{"SAVEPOINT a", "INSERT INTO audit_loggeds (number, payload) VALUES (0, '')", "ROLLBACK TO SAVEPOINT a"},
			after:  []string{"INSERT INTO audit_loggeds (id, number, payload) VALUES (1, 1, '')"},
		},
		"copied": {
			before: []string{"INSERT INTO audit_loggeds (number, payload) SELECT 1, '' FROM generate_series(1, 1)"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testdb.On(t, postgres, func(t *testing.T, db *testdb.DB) {
				s := open(t, db)
				late := begin(t, db)
				run(t, late, steps.before...)
				s.auditOne(t, 2)
				_ = s.heldBack(t)
				run(t, late, steps.after...)
				_ = s.heldBack(t)
				require.NoError(t, late.Commit())
				s.flushOrdered(t)
				assert.Equal(t, []int{1, 2}, s.audits.Keys())
			})
		})
	}
}

func TestOrderedFlushWaitsForAPreparedTransaction(t *testing.T) {
	t.Parallel()
	testdb.On(t, postgres, func(t *testing.T, db *testdb.DB) {
		s := open(t, db)
		pool := db.Open(t)
		u, err := url.Parse(db.DSN)
		require.NoError(t, err)
		gid := strings.TrimPrefix(u.Path, "/") // names of all databases of a server are one set
		late := begin(t, db)
		run(t, late, "INSERT INTO audit_loggeds (number, payload) VALUES (1, '')", "PREPARE TRANSACTION '"+gid+"'")
		_ = late.Rollback()
		prepared := true
		defer func() {
			if prepared {
				run(t, pool, "ROLLBACK PREPARED '"+gid+"'")
			}
		}()
		s.auditOne(t, 2)
		held := s.heldBack(t)
		require.Len(t, held.Blockers, 1)
		by := held.Blockers[0]
		assert.Zero(t, by.PID)
		assert.Equal(t, gid, by.GID)
		assert.Equal(t, u.User.Username(), by.User)
		assert.Positive(t, by.Age)
		assert.Contains(t, held.Error(), fmt.Sprintf("prepared transaction %q of user %s", gid, by.User))
		run(t, pool, "COMMIT PREPARED '"+gid+"'")
		prepared = false
		s.flushOrdered(t)
		assert.Equal(t, []int{1, 2}, s.audits.Keys())
	})
}

// logged is a log in memory.
type logged struct{ testlog.Log }

// warnings returns the reasons why orders aren't strict, one for each time
// that the signal was named.
func (l *logged) warnings(signal string) (reasons []string) {
	for _, line := range l.Lines() {
		if strings.Contains(line, "level=WARN") && strings.Contains(line, "the order is not strict") && strings.Contains(line, "signal="+signal+" ") {
			reasons = append(reasons, line)
		}
	}
	return reasons
}

func (l *logged) option() entsignal.BusOption { return entsignal.WithLogger(l.Logger()) }

// check returns why the order of a signal isn't strict, or nothing.
func (s *shop) check(t testing.TB, name string) string {
	t.Helper()
	checks, err := s.bus.CheckOrder(ctx(t), entsignal.Only(name))
	require.NoError(t, err)
	require.Len(t, checks, 1)
	assert.Equal(t, name, checks[0].Name)
	assert.Equal(t, checks[0].Reason == "", checks[0].Strict)
	return checks[0].Reason
}

func TestOrderThatIsNotStrictIsSaidOnce(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		var log logged
		s := open(t, db, log.option())
		want := map[string]string{
			"AuditLogged":  "",
			"ShipmentDue":  `it is ordered by "customer" first`,
			"UserJoined":   "its ids, of type uuid.UUID, are not counted up by the database",
			"TicketOpened": "its ids, of type string, are not counted up by the database",
		}
		if db.Dialect == dialect.MySQL {
			want["AuditLogged"] = "MySQL and MariaDB don't show which ids are drawn but not committed yet"
		}
		for range 2 {
			_, err := s.bus.FlushOrdered(ctx(t))
			require.NoError(t, err)
		}
		for name, reason := range want {
			said := log.warnings(name)
			if reason == "" {
				assert.Empty(t, s.check(t, name))
				assert.Empty(t, said)
				continue
			}
			assert.Contains(t, s.check(t, name), reason)
			if assert.Len(t, said, 1, name) {
				assert.Contains(t, strings.ReplaceAll(said[0], `\"`, `"`), reason)
			}
		}
		_, err := s.bus.CheckOrder(ctx(t), entsignal.Only("Nobody"))
		var unknown *entsignal.UnknownSignalError
		require.ErrorAs(t, err, &unknown)
		_, err = s.bus.CheckOrder(ctx(t), entsignal.Wait(0))
		require.ErrorContains(t, err, "CheckOrder doesn't use the option Wait")
	})
}

func TestOrderedFlushNamesWhoLocksTheTableOrItsSequence(t *testing.T) {
	t.Parallel()
	for _, statement := range []string{
		"TRUNCATE audit_loggeds",
		"ALTER TABLE audit_loggeds ADD COLUMN more text",
		"LOCK TABLE audit_loggeds IN ACCESS EXCLUSIVE MODE",
		"REINDEX TABLE audit_loggeds",
		"ALTER SEQUENCE audit_loggeds_id_seq CACHE 1",
		"DROP INDEX IF EXISTS nothing; ALTER TABLE audit_loggeds ALTER COLUMN payload SET DEFAULT 'x'",
	} {
		t.Run(statement, func(t *testing.T) {
			t.Parallel()
			testdb.On(t, postgres, func(t *testing.T, db *testdb.DB) {
				s := open(t, db, entsignal.WithFlushTimeout(5*time.Second))
				s.auditOne(t, 1)
				locker := begin(t, db)
				var pid int
				require.NoError(t, locker.QueryRow("SELECT pg_backend_pid()").Scan(&pid))
				run(t, locker, statement)

				held := s.heldBack(t)
				require.Len(t, held.Blockers, 1)
				assert.Equal(t, pid, held.Blockers[0].PID)
				assert.Zero(t, held.Count)
				assert.Positive(t, held.Waited)
				require.ErrorContains(t, held, fmt.Sprintf("the table or its sequence is locked by pid %d of user ", pid))

				require.ErrorAs(t, s.heldBackUntilLate(t), &held, "also when the context ends first")

				done := make(chan error, 1)
				go func() {
					_, err := s.AuditLogged.FlushOrdered(context.Background())
					done <- err
				}()
				require.Eventually(t, func() bool { return s.waits(t) }, 2*time.Minute, 10*time.Millisecond)
				require.NoError(t, locker.Rollback())
				require.NoError(t, <-done)
				assert.Equal(t, []int{1}, s.audits.Keys())
			})
		})
	}
}

// waits reports whether a session of the database waits for a lock.
func (s *shop) waits(t testing.TB) bool {
	t.Helper()
	pool := s.db.Open(t)
	defer pool.Close()
	var n int
	require.NoError(t, pool.QueryRow("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'").Scan(&n))
	return n > 0
}
