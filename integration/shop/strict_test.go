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
	entsql "entgo.io/ent/dialect/sql"
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

// An id column can get its numbers in many ways, and only some give an order.
func TestSequencesThatGiveAnOrder(t *testing.T) {
	t.Parallel()
	const rest = ", number bigint NOT NULL, payload text NOT NULL DEFAULT '')"
	for name, tc := range map[string]struct {
		create []string
		reason string // none: strict
	}{
		"identity by default": {create: []string{"CREATE TABLE audit_loggeds (id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY" + rest}},
		"identity always":     {create: []string{"CREATE TABLE audit_loggeds (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY" + rest}},
		"identity, negative":  {create: []string{"CREATE TABLE audit_loggeds (id bigint GENERATED ALWAYS AS IDENTITY (MINVALUE -10 START -10) PRIMARY KEY" + rest}},
		"identity, small":     {create: []string{"CREATE TABLE audit_loggeds (id smallint GENERATED ALWAYS AS IDENTITY PRIMARY KEY" + rest}},
		"bigserial":           {create: []string{"CREATE TABLE audit_loggeds (id bigserial PRIMARY KEY" + rest}},
		"serial":              {create: []string{"CREATE TABLE audit_loggeds (id serial PRIMARY KEY" + rest}},
		"plain default": {create: []string{
			`CREATE SEQUENCE "odd ""name's"`,
			`CREATE TABLE audit_loggeds (id bigint PRIMARY KEY DEFAULT nextval('"odd ""name''s"')` + rest,
		}},
		"partitioned": {create: []string{
			"CREATE TABLE audit_loggeds (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY" + rest + " PARTITION BY RANGE (id)",
			"CREATE TABLE leaf PARTITION OF audit_loggeds DEFAULT",
		}},
		"another schema": {create: []string{
			"CREATE SCHEMA elsewhere", "CREATE SEQUENCE elsewhere.ids",
			"CREATE TABLE audit_loggeds (id bigint PRIMARY KEY DEFAULT nextval('elsewhere.ids')" + rest,
		}},
		"no sequence": {
			create: []string{"CREATE TABLE audit_loggeds (id bigint PRIMARY KEY" + rest},
			reason: "column id of audit_loggeds is not drawn from a sequence",
		},
		"computed": {
			create: []string{"CREATE SEQUENCE ids", "CREATE TABLE audit_loggeds (id bigint PRIMARY KEY DEFAULT nextval('ids') * 2" + rest},
			reason: "column id of audit_loggeds is not the plain value of its sequence but (nextval('ids'::regclass) * 2)",
		},
		"two sequences": {
			create: []string{"CREATE SEQUENCE a", "CREATE SEQUENCE b", "CREATE TABLE audit_loggeds (id bigint PRIMARY KEY DEFAULT nextval('a') + nextval('b')" + rest},
			reason: "column id of audit_loggeds depends on 2 sequences",
		},
		"cache": {
			create: []string{"CREATE TABLE audit_loggeds (id bigint GENERATED ALWAYS AS IDENTITY (CACHE 20) PRIMARY KEY" + rest},
			reason: "the sequence audit_loggeds_id_seq has CACHE 20, so sessions reserve low ids for later; ALTER SEQUENCE audit_loggeds_id_seq CACHE 1",
		},
		"downwards": {
			create: []string{"CREATE TABLE audit_loggeds (id bigint GENERATED ALWAYS AS IDENTITY (INCREMENT -1) PRIMARY KEY" + rest},
			reason: "the sequence audit_loggeds_id_seq counts down, by -1",
		},
		"cycle": {
			create: []string{"CREATE TABLE audit_loggeds (id bigint GENERATED ALWAYS AS IDENTITY (CYCLE) PRIMARY KEY" + rest},
			reason: "the sequence audit_loggeds_id_seq starts again at its end (CYCLE)",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log logged
			s := newShop(t)
			s.open(t, testdb.New(t, testdb.PostgreSQL), log.option())
			run(t, s.db.Open(t), tc.create...)
			assert.Equal(t, tc.reason, s.check(t, "AuditLogged"))
			if tc.reason != "" {
				for range 2 {
					s.flushOrdered(t)
				}
				assert.Len(t, log.warnings("AuditLogged"), 1)
				return
			}
			late := begin(t, s.db)
			run(t, late, "INSERT INTO audit_loggeds (number) VALUES (1)")
			run(t, s.db.Open(t), "INSERT INTO audit_loggeds (number) VALUES (2)")
			_ = s.heldBack(t)
			require.NoError(t, late.Commit())
			assert.Equal(t, 2, s.flushOrdered(t))
			assert.Equal(t, []int{1, 2}, s.audits.Keys())
			assert.Empty(t, log.warnings("AuditLogged"))
		})
	}
}

func TestIDsThatAreNotOfTheSequenceAreSentAfterTheOthers(t *testing.T) {
	t.Parallel()
	testdb.On(t, postgres, func(t *testing.T, db *testdb.DB) {
		var log logged
		s := open(t, db, log.option())
		late := begin(t, db)
		run(t, late, "INSERT INTO audit_loggeds (number, payload) VALUES (1, '')")
		s.auditOne(t, 2)
		run(t, db.Open(t), "INSERT INTO audit_loggeds (id, number, payload) VALUES (1000, 4, ''), (900, 3, '')")
		_ = s.heldBack(t)
		assert.Contains(t, s.check(t, "AuditLogged"), "there are ids up to 1000, which were not drawn from the sequence audit_loggeds_id_seq")
		require.NoError(t, late.Commit())
		assert.Equal(t, 4, s.flushOrdered(t))
		assert.Equal(t, []int{1, 2, 3, 4}, s.audits.Keys())

		late = begin(t, db)
		run(t, late, auditFive)
		s.auditOne(t, 6)
		_ = s.heldBack(t)
		assert.Empty(t, s.check(t, "AuditLogged"), "one such id doesn't disable the others' order")
		run(t, db.Open(t), "INSERT INTO audit_loggeds (id, number, payload) VALUES (1000, 7, '')")
		require.NoError(t, late.Commit())
		s.flushOrdered(t)
		assert.Equal(t, numbers(7), s.audits.Keys())
		assert.Len(t, log.warnings("AuditLogged"), 1)
	})
}

func TestSequenceThatIsSetBackDoesNotHoldAFlushUp(t *testing.T) {
	t.Parallel()
	testdb.On(t, postgres, func(t *testing.T, db *testdb.DB) {
		s := open(t, db)
		s.auditOne(t, 1)
		s.auditOne(t, 2)
		s.audits.Before(func(context.Context, []*ent.AuditLogged) error {
			_, err := db.Open(t).Exec("SELECT setval('audit_loggeds_id_seq', 1)")
			return err
		})
		s.flushOrdered(t)
		assert.Equal(t, []int{1, 2}, s.audits.Keys())
		s.audits.Before(nil)
		s.auditOne(t, 3)
		s.flushOrdered(t)
		assert.Equal(t, []int{1, 2, 3}, s.audits.Keys())
	})
}

func TestStrictOrderNeedsNoMoreThanToReadTheSequence(t *testing.T) {
	t.Parallel()
	testdb.On(t, postgres, func(t *testing.T, db *testdb.DB) {
		s := open(t, db)
		admin := db.Open(t)
		u, err := url.Parse(db.DSN)
		require.NoError(t, err)
		role := "relay_" + strings.TrimPrefix(u.Path, "/")
		run(t, admin,
			"CREATE ROLE "+role+" LOGIN PASSWORD 'secret'",
			"GRANT SELECT, DELETE, UPDATE (id) ON audit_loggeds TO "+role)
		defer run(t, admin, "DROP OWNED BY "+role, "DROP ROLE "+role)

		u.User = url.UserPassword(role, "secret")
		as := testdb.DB{Kind: db.Kind, DSN: u.String()}
		var log logged
		relay := newShop(t)
		bus, err := ent.NewSignalBus(relay.senders, log.option())
		require.NoError(t, err)
		pool := as.Open(t)
		relay.db, relay.bus = &as, bus
		relay.Client = ent.NewClient(ent.Driver(entsql.OpenDB(db.Dialect, pool)), ent.WithSignalBus(bus))

		s.auditOne(t, 1)
		const reason = "this user may not read the sequence audit_loggeds_id_seq; GRANT SELECT ON SEQUENCE audit_loggeds_id_seq"
		assert.Equal(t, reason, relay.check(t, "AuditLogged"))
		assert.Equal(t, 1, relay.flushOrdered(t), "in the order of what is committed")
		assert.Len(t, log.warnings("AuditLogged"), 1)

		for _, right := range []string{"SELECT", "USAGE"} {
			run(t, admin, "GRANT "+right+" ON SEQUENCE audit_loggeds_id_seq TO "+role)
			assert.Empty(t, relay.check(t, "AuditLogged"))
			late := begin(t, db)
			run(t, late, auditFive)
			s.auditOne(t, 6)
			by := relay.heldBack(t).Blockers
			require.Len(t, by, 1)
			assert.Positive(t, by[0].PID, "who it is may be seen by all")
			assert.NotEmpty(t, by[0].User)
			assert.Zero(t, by[0].Age, "how long is for pg_read_all_stats")
			require.NoError(t, late.Commit())
			assert.Equal(t, 2, relay.flushOrdered(t))
			run(t, admin, "REVOKE "+right+" ON SEQUENCE audit_loggeds_id_seq FROM "+role)
		}
		pool.Close()
	})
}

// A session keeps ids of a sequence with a cache for its later transactions, until
// the sequence is changed: then it draws anew.
func TestSessionsThatAreOpenForgetTheirIDsWhenASequenceLosesItsCache(t *testing.T) {
	t.Parallel()
	testdb.On(t, postgres, func(t *testing.T, db *testdb.DB) {
		s := open(t, db)
		pool := db.Open(t)
		run(t, pool, "ALTER SEQUENCE audit_loggeds_id_seq CACHE 20")
		one, err := pool.Conn(ctx(t))
		require.NoError(t, err)
		defer one.Close()
		draw := func(from interface {
			QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
		}) (id int) {
			t.Helper()
			require.NoError(t, from.QueryRowContext(ctx(t), auditFive+" RETURNING id").Scan(&id))
			return id
		}
		first, second := draw(one), draw(pool)
		require.Equal(t, first+20, second)
		require.Equal(t, first+1, draw(one), "it has kept low ids")
		checks, err := s.bus.CheckOrder(ctx(t), entsignal.Only("AuditLogged"))
		require.NoError(t, err)
		require.Contains(t, checks[0].Reason, "ALTER SEQUENCE audit_loggeds_id_seq CACHE 1")

		drawn := begin(t, db)
		low := draw(drawn)
		altered := make(chan error, 1)
		go func() {
			_, err := pool.Exec("ALTER SEQUENCE audit_loggeds_id_seq CACHE 1")
			altered <- err
		}()
		require.Eventually(t, func() bool {
			var waits bool
			err := s.db.Open(t).QueryRow("SELECT EXISTS (SELECT FROM pg_locks WHERE relation = 'audit_loggeds_id_seq'::regclass AND NOT granted)").Scan(&waits)
			return err == nil && waits
		}, 2*time.Minute, 10*time.Millisecond, "it waits for those that have drawn")
		require.NoError(t, drawn.Commit())
		require.NoError(t, <-altered)
		checks, err = s.bus.CheckOrder(ctx(t), entsignal.Only("AuditLogged"))
		require.NoError(t, err)
		require.True(t, checks[0].Strict, checks[0].Reason)
		high := draw(pool)
		assert.Greater(t, high, low)
		assert.Greater(t, draw(one), high)
	})
}

// It takes the lock of one that draws, and the database doesn't tell them apart.
func TestMonitorThatHoldsPgSequencesIsNamed(t *testing.T) {
	t.Parallel()
	testdb.On(t, postgres, func(t *testing.T, db *testdb.DB) {
		s := open(t, db)
		s.auditOne(t, 1)
		monitor := begin(t, db)
		run(t, monitor, "SELECT last_value FROM pg_sequences")
		writer := begin(t, db)
		run(t, writer, auditFive)
		s.auditOne(t, 2)
		held := s.heldBack(t)
		require.Len(t, held.Blockers, 2)
		assert.False(t, held.Blockers[0].Wrote)
		assert.Contains(t, held.Blockers[0].String(), "idle in transaction, has written nothing yet, open for ")
		assert.True(t, held.Blockers[1].Wrote)
		assert.NotContains(t, held.Blockers[1].String(), "written")
		require.NoError(t, monitor.Rollback())
		require.NoError(t, writer.Rollback())
		run(t, db.Open(t), "SELECT last_value FROM pg_sequences")
		assert.Equal(t, 2, s.flushOrdered(t), "without a transaction it holds nothing")
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
