package pqconn

import (
	"context"
	"database/sql"
	"fmt"
	"testing"
	"time"

	"github.com/lib/pq"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// openKeeping returns a pool of one connection, which keeps up to n statements.
func openKeeping(t *testing.T, n int) *sql.DB {
	t.Helper()
	db := open(t, databaseURL(t).String(), WithStatementCache(n))
	db.SetMaxOpenConns(1)
	return db
}

// kept returns how often each statement that the server keeps has run.
func kept(t *testing.T, db *sql.DB) map[string]int {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), "SELECT statement, generic_plans + custom_plans FROM pg_prepared_statements")
	require.NoError(t, err)
	defer rows.Close()
	all := map[string]int{}
	for rows.Next() {
		var (
			text string
			runs int
		)
		require.NoError(t, rows.Scan(&text, &runs))
		all[text] = runs
	}
	require.NoError(t, rows.Err())
	return all
}

// double runs a statement that has the given text, and an argument.
func double(t *testing.T, db interface {
	QueryRowContext(context.Context, string, ...any) *sql.Row
}, text string) {
	t.Helper()
	var n int
	require.NoError(t, db.QueryRowContext(t.Context(), text, 21).Scan(&n))
	require.Equal(t, 42, n)
}

func TestStatementThatComesAgainIsKept(t *testing.T) {
	t.Parallel()
	db := openKeeping(t, 10)
	const text = "SELECT $1::int * 2"
	double(t, db, text)
	assert.Empty(t, kept(t, db), "one that never comes again takes no place")
	for range 3 {
		double(t, db, text)
	}
	tx, err := db.BeginTx(t.Context(), nil)
	require.NoError(t, err)
	double(t, tx, text)
	require.NoError(t, tx.Commit())
	const noRows = "SELECT FROM pg_sleep($1)"
	for range 2 {
		_, err := db.ExecContext(t.Context(), noRows, 0)
		require.NoError(t, err)
	}
	assert.Equal(t, map[string]int{text: 4, noRows: 1}, kept(t, db))
}

func TestWithoutTheOptionNoStatementIsKept(t *testing.T) {
	t.Parallel()
	db := open(t, databaseURL(t).String())
	db.SetMaxOpenConns(1)
	for range 3 {
		double(t, db, "SELECT $1::int * 2")
	}
	assert.Empty(t, kept(t, db))
}

func TestStatementThatIsUsedLeastRecentlyGoesFirst(t *testing.T) {
	t.Parallel()
	db := openKeeping(t, 2)
	text := func(i int) string { return fmt.Sprintf("SELECT $1::int * 2 + %d - %d", i, i) }
	for _, i := range []int{1, 1, 2, 2, 1, 3, 3, 4} {
		double(t, db, text(i))
	}
	assert.Equal(t, map[string]int{text(1): 2, text(3): 1}, kept(t, db))
}

func TestMigrationMakesAKeptStatementFailOnceAtMost(t *testing.T) {
	t.Parallel()
	db := openKeeping(t, 10)
	const read = "SELECT v FROM migrated WHERE id = $1"
	exec := func(statement string) {
		t.Helper()
		_, err := db.ExecContext(t.Context(), statement)
		require.NoError(t, err)
	}
	exec("CREATE TEMP TABLE migrated (id int, v int)")
	exec("INSERT INTO migrated VALUES (1, 7)")
	var v any
	for range 3 {
		require.NoError(t, db.QueryRowContext(t.Context(), read, 1).Scan(&v))
		require.EqualValues(t, 7, v)
	}
	require.Contains(t, kept(t, db), read)

	exec("ALTER TABLE migrated ALTER v TYPE text")
	require.NoError(t, db.QueryRowContext(t.Context(), read, 1).Scan(&v), "without a transaction the statement is run again")
	require.EqualValues(t, "7", v)

	for range 2 {
		require.NoError(t, db.QueryRowContext(t.Context(), read, 1).Scan(&v))
	}
	require.Contains(t, kept(t, db), read)
	exec("ALTER TABLE migrated ALTER v TYPE bigint USING v::bigint")
	for try := range 2 {
		tx, err := db.BeginTx(t.Context(), nil)
		require.NoError(t, err)
		err = tx.QueryRowContext(t.Context(), read, 1).Scan(&v)
		if try == 0 {
			var refused *pq.Error
			require.ErrorAs(t, err, &refused)
			assert.EqualValues(t, "0A000", refused.Code, "what the migration did, and not what followed from it: %v", err)
		} else {
			require.NoError(t, err)
			require.EqualValues(t, 7, v)
		}
		require.NoError(t, tx.Rollback())
	}
}

func TestMigrationOfAnArgumentMakesAKeptStatementFailOnceAtMost(t *testing.T) {
	t.Parallel()
	db := openKeeping(t, 10)
	exec := func(statement string, args ...any) error {
		_, err := db.ExecContext(t.Context(), statement, args...)
		return err
	}
	require.NoError(t, exec("CREATE TEMP TABLE migrated (v int)"))
	const write = "INSERT INTO migrated VALUES ($1)"
	for range 3 {
		require.NoError(t, exec(write, 7))
	}
	require.Contains(t, kept(t, db), write)
	require.NoError(t, exec("ALTER TABLE migrated ALTER v TYPE text"))
	require.ErrorContains(t, exec(write, "seven"), "invalid input syntax", "it was prepared for a number")
	for range 3 {
		require.NoError(t, exec(write, "seven"))
	}
	assert.Contains(t, kept(t, db), write)
}

func TestStatementThatTheServerForgotIsRunAgain(t *testing.T) {
	t.Parallel()
	db := openKeeping(t, 10)
	const text = "SELECT $1::int * 2"
	for range 3 {
		double(t, db, text)
	}
	_, err := db.ExecContext(t.Context(), "DEALLOCATE ALL")
	require.NoError(t, err)
	for range 3 {
		double(t, db, text)
	}
	assert.Equal(t, map[string]int{text: 1}, kept(t, db))
}

func TestKeptStatementThatFailsStaysUsable(t *testing.T) {
	t.Parallel()
	db := openKeeping(t, 10)
	_, err := db.ExecContext(t.Context(), "CREATE TEMP TABLE once (v int UNIQUE)")
	require.NoError(t, err)
	const write = "INSERT INTO once VALUES ($1)"
	for i := range 6 {
		_, err := db.ExecContext(t.Context(), write, i/2)
		if i%2 == 1 {
			require.ErrorContains(t, err, "duplicate key")
			continue
		}
		require.NoError(t, err)
	}
	assert.Equal(t, map[string]int{write: 5}, kept(t, db), "what the data is at fault for says nothing about the statement")

	_, err = db.ExecContext(t.Context(), write, 1, 2)
	require.ErrorContains(t, err, "2 parameters")
	for range 2 {
		_, err := db.ExecContext(t.Context(), "SELEC $1", 1)
		require.ErrorContains(t, err, "syntax error")
	}
	assert.Contains(t, kept(t, db), write, "the connection is the same")
}

func TestKeptStatementEndsWithItsContext(t *testing.T) {
	t.Parallel()
	const application = "TestKeptStatementEndsWithItsContext"
	db := open(t, databaseURL(t).String()+"&application_name="+application, WithStatementCache(10))
	db.SetMaxOpenConns(1)
	const text = "SELECT pg_sleep($1)"
	for range 2 {
		_, err := db.ExecContext(t.Context(), text, 0)
		require.NoError(t, err)
	}
	_, err := db.ExecContext(cancelWhenItSleeps(t, application), text, 20)
	var refused *pq.Error
	require.ErrorAs(t, err, &refused, "the server itself must have ended it")
	assert.EqualValues(t, "57014", refused.Code)
	double(t, db, "SELECT $1::int * 2")
	assert.Empty(t, kept(t, db), "a late cancel must not meet another statement: the connection is a new one")
}

func TestDeadNetworkEndsAKeptStatement(t *testing.T) {
	t.Parallel()
	proxy, proxyURL := newProxy(t)
	const timeout = 500 * time.Millisecond
	db := open(t, proxyURL, WithStatementCache(10), WithTimeout(timeout), WithConnectTimeout(timeout))
	db.SetMaxOpenConns(1)
	const text = "SELECT $1::int * 2"
	prepare(t, func() error {
		for range 3 {
			if _, err := db.ExecContext(t.Context(), text, 21); err != nil {
				return err
			}
		}
		return nil
	})
	proxy.BlackHole(true)
	ends(t, func() {
		_, err := db.ExecContext(t.Context(), text, 21)
		assert.Error(t, err)
	})
}
