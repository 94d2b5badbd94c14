package shop_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/integration/internal/testdb"
)

func TestFlushOfNothingIsOneQuestion(t *testing.T) {
	t.Parallel()
	s, sent := openCounted(t)
	passes := map[string]func() (int, error){
		"FlushMany":              func() (int, error) { return s.AuditLogged.FlushMany(ctx(t)) },
		"Flush":                  func() (int, error) { return s.AuditLogged.Flush(ctx(t)) },
		"FlushOrdered":           func() (int, error) { return s.AuditLogged.FlushOrdered(ctx(t)) },
		"FlushMany of all":       func() (int, error) { return s.bus.FlushMany(ctx(t)) },
		"Flush of all":           func() (int, error) { return s.bus.Flush(ctx(t)) },
		"FlushOrdered of all":    func() (int, error) { return s.bus.FlushOrdered(ctx(t)) },
		"FlushMany of these two": func() (int, error) { return s.bus.FlushMany(ctx(t), entsignal.Only("AuditLogged", "OrderPlaced")) },
	}
	_, err := s.bus.FlushOrdered(ctx(t)) // asks what the server, the tables and their orders are like
	require.NoError(t, err)
	for name, pass := range passes {
		sent.take()
		n, err := pass()
		require.NoError(t, err, name)
		assert.Zero(t, n, name)
		assert.Equal(t, 1, sent.take(), name)
	}
}

// A table that somebody has locked, or that isn't there, doesn't keep the others
// from being flushed.
func TestTablesThatCannotBeAskedTogetherAreAskedAlone(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		s := open(t, db)
		s.audit(t, 2)
		_, err := db.Open(t).ExecContext(ctx(t), "DROP TABLE badge_givens")
		require.NoError(t, err)
		n, err := s.bus.FlushMany(ctx(t))
		var failed *entsignal.FlushError
		require.ErrorAs(t, err, &failed)
		assert.Equal(t, "BadgeGiven", failed.Signal)
		assert.Equal(t, 2, n)
	})
	t.Run("locked", func(t *testing.T) {
		t.Parallel()
		db := testdb.New(t, testdb.PostgreSQL)
		s := open(t, db, entsignal.WithFlushTimeout(2*time.Second))
		s.audit(t, 2)
		_, err := s.bus.FlushMany(ctx(t), entsignal.Exclude("AuditLogged"))
		require.NoError(t, err)
		run(t, begin(t, db), "LOCK TABLE user_joineds")
		n, err := s.bus.FlushMany(ctx(t), entsignal.Only("AuditLogged", "OrderPlaced", "UserJoined"))
		var failed *entsignal.FlushError
		require.ErrorAs(t, err, &failed)
		assert.Equal(t, "UserJoined", failed.Signal)
		assert.Equal(t, 2, n)
	})
}

// What a bus has learnt of a sequence holds until it changes.
func TestChangeOfASequenceIsNoticedAtOnce(t *testing.T) {
	t.Parallel()
	testdb.On(t, postgres, func(t *testing.T, db *testdb.DB) {
		s := open(t, db)
		pool := db.Open(t)
		reason := func() string {
			checks, err := s.bus.CheckOrder(ctx(t), entsignal.Only("AuditLogged"))
			require.NoError(t, err)
			require.Len(t, checks, 1)
			return checks[0].Reason
		}
		for range 2 {
			require.Empty(t, reason())
		}
		for _, c := range []struct{ change, reason, back string }{
			{"ALTER SEQUENCE audit_loggeds_id_seq CACHE 7", "CACHE 7", "ALTER SEQUENCE audit_loggeds_id_seq CACHE 1"},
			{"ALTER TABLE audit_loggeds ALTER COLUMN id SET INCREMENT BY -1", "counts down", "ALTER TABLE audit_loggeds ALTER COLUMN id SET INCREMENT BY 1"},
			{
				"ALTER TABLE audit_loggeds ALTER COLUMN id DROP IDENTITY", "not drawn from a sequence",
				"CREATE SEQUENCE other_ids; ALTER TABLE audit_loggeds ALTER COLUMN id SET DEFAULT nextval('other_ids')",
			},
			{"ALTER TABLE audit_loggeds ALTER COLUMN id SET DEFAULT nextval('other_ids') * 2", "is not the plain value", "ALTER TABLE audit_loggeds ALTER COLUMN id SET DEFAULT nextval('other_ids')"},
			{
				"ALTER TABLE audit_loggeds RENAME TO old_audits; CREATE TABLE audit_loggeds (id bigint PRIMARY KEY, number bigint, payload text)", "not drawn from a sequence",
				"DROP TABLE audit_loggeds; ALTER TABLE old_audits RENAME TO audit_loggeds",
			},
		} {
			run(t, pool, c.change)
			for range 2 {
				require.Contains(t, reason(), c.reason, c.change)
			}
			run(t, pool, c.back)
			for range 2 {
				require.Empty(t, reason(), c.back)
			}
		}
	})
}
