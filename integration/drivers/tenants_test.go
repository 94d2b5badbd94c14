package drivers_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/integration/drivers/ent"
	"github.com/entsignal/signalbus/integration/internal/testdb"
)

// The tenants of these tests are chosen by a setting of the transaction.

func exec(t *testing.T, db *testdb.DB, statements string) {
	t.Helper()
	_, err := db.Open(t).Exec(statements)
	require.NoError(t, err, statements)
}

// schemas creates schemas with the tables of the program.
func schemas(t *testing.T, db *testdb.DB, names ...string) {
	t.Helper()
	for _, name := range names {
		exec(t, db, "CREATE SCHEMA "+name)
		for _, table := range []string{"accounts", "money_moveds", "price_sets"} {
			exec(t, db, fmt.Sprintf("CREATE TABLE %s.%s (LIKE public.%[2]s INCLUDING ALL)", name, table))
		}
	}
}

// with returns the database with a setting of its connections.
func with(db *testdb.DB, setting, value string) *testdb.DB {
	other := *db
	other.DSN += "&" + setting + "=" + value
	return &other
}

// commit creates a signal in a transaction with a setting.
func commit(t *testing.T, p *program, setting string, number int) {
	t.Helper()
	tx, err := p.Tx(ctx(t))
	require.NoError(t, err)
	_, err = tx.ExecContext(ctx(t), setting)
	require.NoError(t, err)
	tx.MoneyMoved.Create().SetNumber(number).ExecX(ctx(t))
	require.NoError(t, tx.Commit())
}

var bothPostgres = []testdb.Kind{testdb.PostgreSQL, testdb.PGX}

func assertNotFoundOnce(t *testing.T, p *program, reason string) {
	t.Helper()
	require.Len(t, p.errors.all(), 1, "once")
	err := p.errors.all()[0]
	require.ErrorIs(t, err, entsignal.ErrNotFound)
	require.ErrorContains(t, err, reason)
	var flush *entsignal.FlushError
	require.ErrorAs(t, err, &flush)
	assert.Equal(t, "MoneyMoved", flush.Signal)
	assert.Equal(t, 1, strings.Count(p.log.String(), reason), "in the log")
}

func TestTenantBySearchPathThatTheBusDoesNotSeeIsLogged(t *testing.T) {
	t.Parallel()
	testdb.On(t, bothPostgres, func(t *testing.T, db *testdb.DB) {
		createTables(t, db)
		schemas(t, db, "a", "b")
		p := open(t, db.Driver(t))
		for number, tenant := range []string{"a", "b", "a"} {
			commit(t, p, "SET LOCAL search_path TO "+tenant, number)
		}
		assert.Empty(t, p.moved.Keys())
		assertNotFoundOnce(t, p, "search_path")

		for tenant, want := range map[string][]int{"a": {0, 2}, "b": {1}} {
			own := open(t, with(db, "search_path", tenant).Driver(t))
			n, err := own.bus.Flush(ctx(t), entsignal.Wait(0))
			require.NoError(t, err)
			assert.Equal(t, len(want), n)
			assert.Equal(t, want, own.moved.Keys())
		}
	})
}

func TestTenantBesideSignalsThatTheBusSeesIsLogged(t *testing.T) {
	t.Parallel()
	testdb.On(t, bothPostgres, func(t *testing.T, db *testdb.DB) {
		createTables(t, db)
		schemas(t, db, "a")
		exec(t, db, "ALTER TABLE a.money_moveds ALTER COLUMN id RESTART WITH 100")
		p := open(t, db.Driver(t))
		commit(t, p, "SET LOCAL search_path TO public", 1)
		assert.Equal(t, []int{1}, p.moved.Keys())
		assert.Empty(t, p.errors.all())
		commit(t, p, "SET LOCAL search_path TO a", 2)
		assertNotFoundOnce(t, p, "search_path")
	})
}

func TestTenantByRowSecurityThatTheBusDoesNotSeeIsLogged(t *testing.T) {
	t.Parallel()
	testdb.On(t, bothPostgres, func(t *testing.T, db *testdb.DB) {
		createTables(t, db)
		role := secured(t, db, "current_setting('app.tenant', true) = 'a'")
		p := open(t, with(db, "role", role).Driver(t))
		for number := range 3 {
			commit(t, p, "SELECT set_config('app.tenant', 'a', true)", number)
		}
		assert.Empty(t, p.moved.Keys())
		assertNotFoundOnce(t, p, "row-level security")
		assert.Equal(t, 3, pending(t, db))
	})
}

// secured puts a policy on the table, and returns a role that is bound by it.
func secured(t *testing.T, db *testdb.DB, policy string) (role string) {
	t.Helper()
	require.NoError(t, db.Open(t).QueryRow("SELECT current_database() || '_bound'").Scan(&role))
	exec(t, db, fmt.Sprintf(`
		CREATE ROLE %[1]s;
		GRANT ALL ON ALL TABLES IN SCHEMA public TO %[1]s;
		ALTER TABLE money_moveds ENABLE ROW LEVEL SECURITY;
		CREATE POLICY tenants ON money_moveds USING (%[2]s)`, role, policy))
	t.Cleanup(func() { exec(t, db, "DROP OWNED BY "+role+"; DROP ROLE "+role) })
	return role
}

// Another flush that is faster than the autoflush is healthy.
func TestRowsThatAnotherFlushHasSentAreNotMissed(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]func(t *testing.T, db *testdb.DB) *testdb.DB{
		"plain": func(_ *testing.T, db *testdb.DB) *testdb.DB { return db },
		"schemas": func(t *testing.T, db *testdb.DB) *testdb.DB {
			if db.Dialect != "postgres" {
				return db
			}
			schemas(t, db, "a", "b")
			return with(db, "search_path", "a")
		},
		"row security": func(t *testing.T, db *testdb.DB) *testdb.DB {
			if db.Dialect != "postgres" {
				return db
			}
			return with(db, "role", secured(t, db, "true"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testdb.Each(t, func(t *testing.T, db *testdb.DB) {
				createTables(t, db)
				db = prepare(t, db)
				p, relay := open(t, db.Driver(t)), open(t, db.Driver(t))
				if name != "plain" { // where this may be the first that is not found
					p.MoneyMoved.Create().SetNumber(0).ExecX(ctx(t))
				}
				for number := range 3 {
					tx, err := p.Tx(ctx(t))
					require.NoError(t, err)
					tx.MoneyMoved.Create().SetNumber(number).ExecX(ctx(t))
					tx.OnCommit(func(next ent.Committer) ent.Committer {
						return ent.CommitFunc(func(c context.Context, tx *ent.Tx) error {
							if err := next.Commit(c, tx); err != nil {
								return err
							}
							_, err := relay.bus.FlushMany(ctx(t))
							return err
						})
					})
					require.NoError(t, tx.Commit())
				}
				assert.Equal(t, []int{0, 1, 2}, relay.moved.Keys())
				assert.Empty(t, p.errors.all())
				assert.NotContains(t, p.log.String(), "can't see the signals")
			})
		})
	}
}
