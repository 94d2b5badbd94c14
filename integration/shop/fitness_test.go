package shop_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"entgo.io/ent/dialect"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/integration/internal/testdb"
	"github.com/entsignal/signalbus/integration/shop/ent"
	"github.com/entsignal/signalbus/internal/testlog"
)

// run runs statements on the database of the shop.
func (s *shop) run(t testing.TB, statements ...string) {
	t.Helper()
	pool := s.db.Open(t)
	defer pool.Close()
	for _, statement := range statements {
		_, err := pool.ExecContext(ctx(t), statement)
		require.NoError(t, err, statement)
	}
}

// everyWay has each way to send the signals of a table, and what the shop's
// error handler gets counts as its error.
func everyWay(t testing.TB, s *shop) map[string]func() (int, error) {
	return map[string]func() (int, error){
		"autoflush": func() (int, error) {
			s.OrderPlaced.Create().SetNumber(1).ExecX(ctx(t))
			return 0, errors.Join(s.errors.all()...)
		},
		"Send":         func() (int, error) { return s.OrderPlaced.Send(ctx(t), s.OrderPlaced.Query().AllX(ctx(t))...) },
		"Flush":        func() (int, error) { return s.OrderPlaced.Flush(ctx(t), entsignal.Wait(0)) },
		"FlushMany":    func() (int, error) { return s.OrderPlaced.FlushMany(ctx(t)) },
		"FlushOrdered": func() (int, error) { return s.OrderPlaced.FlushOrdered(ctx(t)) },
	}
}

// An engine without transactions deletes for good what is then not sent.
func TestTableWithoutTransactionsIsRefusedBeforeTheFirstClaim(t *testing.T) {
	t.Parallel()
	for _, engine := range []string{"MyISAM", "MEMORY", "Aria"} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			s := open(t, testdb.New(t, testdb.MariaDB))
			s.run(t, "ALTER TABLE order_placeds ENGINE="+engine)
			s.bus.SetAutoFlush(false)
			s.OrderPlaced.Create().SetNumber(1).ExecX(ctx(t))
			s.bus.SetAutoFlush(true)
			s.orders.Before(func(context.Context, []*ent.OrderPlaced) error { return errors.New("not now") })
			rows := 1
			for name, send := range everyWay(t, s) {
				if name == "autoflush" {
					rows++
				}
				n, err := send()
				require.ErrorContains(t, err, "table order_placeds has the engine "+engine, name)
				assert.ErrorContains(t, err, "ALTER TABLE order_placeds ENGINE=InnoDB", name)
				assert.Zero(t, n)
				assert.Equal(t, rows, s.pending(t, "OrderPlaced"), name)
			}
			assert.Empty(t, s.orders.Keys())

			s.UserJoined.Create().SetNumber(1).ExecX(ctx(t))
			assert.Equal(t, []int{1}, s.users.Keys(), "the others are sent")
			s.run(t, "ALTER TABLE order_placeds ENGINE=InnoDB")
			s.orders.Before(nil)
			n, err := s.OrderPlaced.FlushMany(ctx(t))
			require.NoError(t, err, "it is asked for again")
			assert.Equal(t, rows, n)
		})
	}
}

func TestTableThatACrashEmptiesIsSaidOnce(t *testing.T) {
	t.Parallel()
	testdb.On(t, []testdb.Kind{testdb.PostgreSQL, testdb.PGX}, func(t *testing.T, db *testdb.DB) {
		log := &testlog.Log{}
		s := open(t, db, entsignal.WithLogger(log.Logger()))
		s.run(t, "ALTER TABLE order_placeds SET UNLOGGED")
		for i := range 2 {
			s.OrderPlaced.Create().SetNumber(i).ExecX(ctx(t))
		}
		assert.Len(t, s.orders.Keys(), 2)
		assert.Equal(t, 1, log.Count("order_placeds UNLOGGED"))
	})
}

// The settings of a session with which each claim failed once, or might.
func TestClaimsWorkWithTheSettingsOfASession(t *testing.T) {
	t.Parallel()
	for kind, settings := range map[*testdb.Kind][]string{
		&testdb.MariaDB: {
			"sql_safe_updates=1", "sql_mode=%27ANSI%27", "sql_mode=%27ORACLE%27", "sql_mode=%27NO_BACKSLASH_ESCAPES%27", "sql_mode=%27ONLY_FULL_GROUP_BY%27",
			"max_statement_time=5", "sql_auto_is_null=1", "sql_big_selects=0&max_join_size=1000", "sql_select_limit=1", "tx_isolation=%27SERIALIZABLE%27",
			"innodb_snapshot_isolation=1", "binlog_format=%27STATEMENT%27", "innodb_lock_wait_timeout=1", "interpolateParams=true", "clientFoundRows=true", "charset=latin1",
			"time_zone=%27-11:00%27", "foreign_key_checks=1&unique_checks=0", "lock_wait_timeout=1", "collation=utf8mb4_bin", "big_tables=1", "optimizer_switch=%27derived_merge=off%27", "in_predicate_conversion_threshold=2",
		},
		&testdb.PostgreSQL: {
			"standard_conforming_strings=off", "default_transaction_deferrable=on", "default_transaction_read_only=on", "transform_null_equals=on", "plan_cache_mode=force_generic_plan",
			"TimeZone=America/New_York", "IntervalStyle=sql_standard", "bytea_output=escape", "extra_float_digits=0", "lock_timeout=1000", "row_security=off", "synchronous_commit=off", "array_nulls=off",
		},
		&testdb.PGX: {
			"standard_conforming_strings=on", "default_transaction_deferrable=on", "transform_null_equals=on", "plan_cache_mode=force_generic_plan",
			"TimeZone=America/New_York", "IntervalStyle=sql_standard", "bytea_output=escape", "extra_float_digits=0", "lock_timeout=1000", "default_query_exec_mode=simple_protocol", "default_query_exec_mode=exec",
		},
	} {
		for _, setting := range settings {
			t.Run(kind.Name+" "+setting, func(t *testing.T) {
				t.Parallel()
				db := testdb.New(t, *kind)
				direct := open(t, db)
				direct.bus.SetAutoFlush(false)
				const each = 4
				for i := range each * 4 {
					direct.OrderPlaced.Create().SetNumber(i).ExecX(ctx(t))
				}
				s := newShop(t)
				s.open(t, with(db, setting))
				rows := direct.OrderPlaced.Query().Order(ent.Asc("id")).AllX(ctx(t))
				n, err := s.OrderPlaced.Send(ctx(t), rows[:each]...)
				require.NoError(t, err)
				require.Equal(t, each, n)
				var failed atomic.Bool
				s.orders.Before(func(context.Context, []*ent.OrderPlaced) error {
					if failed.CompareAndSwap(false, true) {
						return errors.New("not now")
					}
					return nil
				})
				for i, flush := range []func() (int, error){
					func() (int, error) { return s.OrderPlaced.Flush(ctx(t), entsignal.Wait(0), entsignal.Burst(3)) },
					func() (int, error) { return s.OrderPlaced.FlushMany(ctx(t), entsignal.Burst(100)) },
					func() (int, error) { return s.OrderPlaced.FlushOrdered(ctx(t), entsignal.Burst(2)) },
				} {
					if i > 0 {
						for i := range each {
							direct.OrderPlaced.Create().SetNumber(i).ExecX(ctx(t))
						}
					}
					for left := 1; left > 0; left = direct.pending(t, "OrderPlaced") {
						n, err := flush()
						if i > 0 {
							require.NoError(t, err)
						}
						require.NotZero(t, n)
					}
				}
				if !strings.Contains(setting, "read_only") {
					s.inTx(t, func(tx *ent.Tx) {
						for i := range 3 {
							tx.OrderPlaced.Create().SetNumber(i).ExecX(ctx(t))
						}
					})
					assert.Empty(t, s.errors.all())
				}
				assert.Zero(t, direct.pending(t, "OrderPlaced"))
			})
		}
	}
}

// With these a claim can't work, and the error says what to do.
func TestSettingsThatRefuseEachClaimAreNamedWithTheirCure(t *testing.T) {
	t.Parallel()
	for setting, says := range map[string]string{
		"autocommit=0":                  "autocommit=0 leaves a transaction open",
		"completion_type=%27CHAIN%27":   "set it to NO_CHAIN",
		"completion_type=%27RELEASE%27": "set it to NO_CHAIN",
		"tx_read_only=1":                "set it to 0 in the DSN",
	} {
		t.Run(setting, func(t *testing.T) {
			t.Parallel()
			db := testdb.New(t, testdb.MariaDB)
			direct := open(t, db)
			direct.audit(t, 2)
			s := newShop(t)
			s.open(t, with(db, setting))
			for range 2 {
				_, err := s.AuditLogged.FlushMany(ctx(t))
				require.ErrorContains(t, err, says)
			}
			assert.Empty(t, s.audits.Keys())
			assert.Equal(t, 2, direct.pending(t, "AuditLogged"))
		})
	}
	t.Run("pgx default_transaction_read_only=on", func(t *testing.T) {
		t.Parallel()
		db := testdb.New(t, testdb.PGX)
		direct := open(t, db)
		direct.audit(t, 2)
		log := &testlog.Log{}
		s := newShop(t)
		s.open(t, with(db, "default_transaction_read_only=on"), entsignal.WithLogger(log.Logger()))
		_, err := s.AuditLogged.FlushMany(ctx(t))
		require.ErrorContains(t, err, "read-only transaction")
		assert.Equal(t, 1, log.Count("set default_transaction_read_only=off in the DSN"))
	})
	t.Run("sqlite journal_mode=off", func(t *testing.T) {
		t.Parallel()
		db := testdb.New(t, testdb.SQLite)
		db.DSN = strings.Replace(db.DSN, "journal_mode(WAL)", "journal_mode(OFF)", 1)
		s := open(t, db)
		s.audit(t, 2)
		_, err := s.AuditLogged.FlushMany(ctx(t))
		require.ErrorContains(t, err, "journal_mode=OFF has no rollback")
		assert.Empty(t, s.audits.Keys())
	})
}

// lateRefusals has, by dialect, what refuses the deletion of the order with
// number 2 when the transaction commits.
var lateRefusals = map[string]map[string][]string{
	dialect.Postgres: {
		"foreign key": {
			"CREATE TABLE held (order_id bigint REFERENCES order_placeds (id) DEFERRABLE INITIALLY DEFERRED)",
			"INSERT INTO held SELECT id FROM order_placeds WHERE number = 2",
		},
		"constraint trigger": {
			"CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF OLD.number = 2 THEN RAISE EXCEPTION 'it stays'; END IF; RETURN NULL; END $$",
			"CREATE CONSTRAINT TRIGGER refuse AFTER DELETE ON order_placeds DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse()",
		},
		"foreign key behind a cascade": {
			"CREATE TABLE children (id bigint PRIMARY KEY REFERENCES order_placeds (id) ON DELETE CASCADE)",
			"CREATE TABLE held (child_id bigint REFERENCES children (id) DEFERRABLE INITIALLY DEFERRED)",
			"INSERT INTO children SELECT id FROM order_placeds",
			"INSERT INTO held SELECT id FROM order_placeds WHERE number = 2",
		},
	},
	dialect.SQLite: {
		"foreign key": {
			"CREATE TABLE held (order_id integer REFERENCES order_placeds (id) DEFERRABLE INITIALLY DEFERRED)",
			"INSERT INTO held SELECT id FROM order_placeds WHERE number = 2",
		},
		"foreign key that is not late": {
			"CREATE TABLE held (order_id integer REFERENCES order_placeds (id))",
			"INSERT INTO held SELECT id FROM order_placeds WHERE number = 2",
		},
		"trigger": {
			"CREATE TRIGGER refuse BEFORE DELETE ON order_placeds WHEN OLD.number = 2 BEGIN SELECT RAISE(ABORT, 'it stays'); END",
		},
		"trigger that keeps the row": {
			"CREATE TRIGGER refuse BEFORE DELETE ON order_placeds WHEN OLD.number = 2 BEGIN SELECT RAISE(IGNORE); END",
		},
		"foreign key behind a cascade": {
			"CREATE TABLE children (id integer PRIMARY KEY REFERENCES order_placeds (id) ON DELETE CASCADE)",
			"CREATE TABLE held (child_id integer REFERENCES children (id) DEFERRABLE INITIALLY DEFERRED)",
			"INSERT INTO children SELECT id FROM order_placeds",
			"INSERT INTO held SELECT id FROM order_placeds WHERE number = 2",
		},
		"foreign key of a table that has orphans": {
			"CREATE TABLE held (order_id integer REFERENCES order_placeds (id) DEFERRABLE INITIALLY DEFERRED)",
			"INSERT INTO held SELECT id FROM order_placeds WHERE number = 2",
			"PRAGMA foreign_keys = 0; INSERT INTO held VALUES (777); PRAGMA foreign_keys = 1",
		},
	},
}

// What is refused at the commit was sent by then, and would be at every flush.
func TestDeletionThatIsRefusedAtTheCommitIsRefusedBeforeTheSending(t *testing.T) {
	t.Parallel()
	testdb.On(t, []testdb.Kind{testdb.PostgreSQL, testdb.PGX, testdb.SQLite}, func(t *testing.T, db *testdb.DB) {
		for name, statements := range lateRefusals[db.Dialect] {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				s := open(t, testdb.New(t, db.Kind))
				s.bus.SetAutoFlush(false)
				for number := 1; number <= 3; number++ {
					s.OrderPlaced.Create().SetNumber(number).ExecX(ctx(t))
				}
				s.run(t, statements...)
				bad := s.OrderPlaced.Query().AllX(ctx(t))[1]
				for name, send := range map[string]func() (int, error){
					"Send":         func() (int, error) { return s.OrderPlaced.Send(ctx(t), bad) },
					"Flush":        func() (int, error) { return s.OrderPlaced.Flush(ctx(t), entsignal.Wait(0), entsignal.Burst(3)) },
					"FlushMany":    func() (int, error) { return s.OrderPlaced.FlushMany(ctx(t), entsignal.Burst(1)) },
					"FlushOrdered": func() (int, error) { return s.OrderPlaced.FlushOrdered(ctx(t), entsignal.Burst(2)) },
				} {
					_, err := send()
					if name != "Flush" { // its burst may be taken apart
						require.Error(t, err, name)
						assert.NotContains(t, err.Error(), "sent, but", name)
					}
					assert.NotContains(t, s.orders.Keys(), 2, name)
				}
				s.bus.SetAutoFlush(true)
				if name != "trigger" && name != "trigger that keeps the row" && name != "constraint trigger" {
					s.run(t, "DELETE FROM held")
					n, err := s.OrderPlaced.FlushMany(ctx(t))
					require.NoError(t, err)
					assert.NotZero(t, n)
					assert.ElementsMatch(t, []int{1, 2, 3}, s.orders.Keys())
				}
			})
		}
	})
}

// The autoflush's rows are new, so only a trigger refuses them.
func TestAutoflushWhoseDeletionIsRefusedAtTheCommitSendsNothing(t *testing.T) {
	t.Parallel()
	testdb.On(t, []testdb.Kind{testdb.PostgreSQL, testdb.PGX}, func(t *testing.T, db *testdb.DB) {
		s := open(t, db)
		s.run(t, lateRefusals[db.Dialect]["constraint trigger"]...)
		s.inTx(t, func(tx *ent.Tx) { tx.OrderPlaced.Create().SetNumber(2).ExecX(ctx(t)) })
		require.ErrorContains(t, errors.Join(s.errors.all()...), "it stays")
		assert.Empty(t, s.orders.Keys())
		assert.Equal(t, 1, s.pending(t, "OrderPlaced"))
	})
}

// A bus learns what may refuse a commit when it begins. What comes later it
// learns from the first refusal.
func TestRefusalThatCameLaterRepeatsAMessageOnce(t *testing.T) {
	t.Parallel()
	testdb.On(t, []testdb.Kind{testdb.PostgreSQL, testdb.PGX}, func(t *testing.T, db *testdb.DB) {
		s := open(t, db)
		s.OrderPlaced.Create().SetNumber(1).ExecX(ctx(t))
		s.run(t, lateRefusals[db.Dialect]["constraint trigger"]...)
		for i := range 3 {
			s.inTx(t, func(tx *ent.Tx) { tx.OrderPlaced.Create().SetNumber(2).ExecX(ctx(t)) })
			require.Len(t, s.errors.all(), 1, i)
		}
		assert.Equal(t, []int{1, 2}, s.orders.Keys())
		_, err := s.OrderPlaced.FlushMany(ctx(t))
		require.ErrorContains(t, err, "it stays")
		assert.Equal(t, []int{1, 2}, s.orders.Keys())
		assert.Equal(t, 3, s.pending(t, "OrderPlaced"))
	})
}
