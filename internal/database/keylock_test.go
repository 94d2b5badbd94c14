package database

import (
	"context"
	"database/sql/driver"
	"errors"
	"testing"

	"entgo.io/ent/dialect"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// statements is a database that keeps what it is asked to execute.
type statements struct {
	dialect.Driver
	name string
	args [][]any
	err  error
}

func (s *statements) Dialect() string { return s.name }

func (s *statements) Exec(_ context.Context, query string, args, _ any) error {
	if query != lockKeysPostgres {
		return errors.New("another statement: " + query)
	}
	s.args = append(s.args, args.([]any))
	return s.err
}

// stored is a key whose stored form is another one.
type stored struct {
	value driver.Value
	err   error
}

func (s stored) Value() (driver.Value, error) { return s.value, s.err }

func TestKeysAreLockedInOneStatementByTheTextThatIsStored(t *testing.T) {
	db := &statements{name: dialect.Postgres}
	keys := []any{7, int64(-8), "a \"quoted\" ü", []byte("bytes"), stored{value: "by value"}, stored{value: []byte("by bytes")}, true}
	require.NoError(t, LockKeys(t.Context(), db, "moves", keys))
	require.Len(t, db.args, 1)
	assert.Equal(t, "moves", db.args[0][0])
	assert.JSONEq(t, `["7", "-8", "a \"quoted\" ü", "bytes", "by value", "by bytes", "true"]`, db.args[0][1].(string))
}

func TestKeyThatCannotBeLockedIsAnError(t *testing.T) {
	bad := errors.New("bad")
	db := &statements{name: dialect.Postgres}
	require.ErrorIs(t, LockKeys(t.Context(), db, "moves", []any{1, stored{err: bad}}), bad)
	assert.Empty(t, db.args, "nothing is locked")

	db.err = bad
	require.ErrorIs(t, LockKeys(t.Context(), db, "moves", []any{1}), bad)
}

func TestOnlyPostgreSQLLocksKeys(t *testing.T) {
	sqlite := &statements{name: dialect.SQLite}
	require.NoError(t, LockKeys(t.Context(), sqlite, "moves", []any{1}), "it has one writer at a time")
	assert.Empty(t, sqlite.args)

	mysql := &statements{name: dialect.MySQL}
	require.ErrorContains(t, LockKeys(t.Context(), mysql, "moves", []any{1}), "leave out LockOrderKey")
	assert.Empty(t, mysql.args)
}
