package database

import (
	"context"
	stdsql "database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"reflect"
	"testing"

	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/sql"
	"github.com/lib/pq"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// connector is that of a wrapper which knows no driver, or a nil one.
type connector struct{ of driver.Driver }

func (connector) Connect(context.Context) (driver.Conn, error) { return nil, errors.New("no server") }
func (c connector) Driver() driver.Driver                      { return c.of }

type namedDriver string

func (namedDriver) Open(string) (driver.Conn, error) { return nil, nil }

type pointedDriver struct{}

func (*pointedDriver) Open(string) (driver.Conn, error) { return nil, nil }

func TestDriversOfAnyShapeHaveHabits(t *testing.T) {
	for name, of := range map[string]driver.Driver{
		"none":             nil,
		"a nil pointer":    (*pointedDriver)(nil),
		"a pointer":        &pointedDriver{},
		"no struct":        namedDriver("x"),
		"a nil lib/pq":     (*pq.Driver)(nil),
		"lib/pq by value":  pq.Driver{},
		"lib/pq, wrapped":  struct{ driver.Driver }{pq.Driver{}},
		"a nil in wrapper": struct{ driver.Driver }{},
	} {
		drv := sql.OpenDB(dialect.Postgres, stdsql.OpenDB(connector{of}))
		assert.NotPanics(t, func() { driverTraitsOf(drv) }, name)
		_, err := begin(t.Context(), drv, false)
		assert.ErrorContains(t, err, "no server", name)
	}
	debug := dialect.Debug(dialect.Debug(sql.OpenDB(dialect.Postgres, stdsql.OpenDB(connector{pq.Driver{}}))))
	assert.True(t, driverTraitsOf(debug).literals, "a debug driver changes nothing")
}

// Errors that look like those of drivers, and are odd.
type (
	hollow      struct{ *pgxError }
	wrapsItself struct{ error }
	textError   string
)

func (e *wrapsItself) Unwrap() error    { return e.error } // panics for a nil pointer
func (e textError) Error() string       { return string(e) }
func (e *wrapsItself) SQLState() string { return e.error.Error() }

func TestErrorsOfAnyShapeAreClassified(t *testing.T) {
	for name, err := range map[string]error{
		"a nil pointer":            (*pgxError)(nil),
		"a nil pointer of lib/pq":  (*pq.Error)(nil),
		"a nil pointer that wraps": (*wrapsItself)(nil),
		"wrapped nil pointers":     fmt.Errorf("x: %w, %w", (*pq.Error)(nil), (*wrapsItself)(nil)),
		"joined nil pointers":      errors.Join((*pgxError)(nil), errors.New("x")),
		"no struct":                textError("MySQLError"),
		"a nil pointer of MySQL's": (*MySQLError)(nil),
	} {
		assert.NotPanics(t, func() {
			assert.False(t, IsSerializationFailure(err), name)
			_ = isPostgresUnavailable(err) || isMySQLUnavailable(err)
		}, name)
	}
	assert.True(t, IsSerializationFailure(errors.Join((*pq.Error)(nil), &pgxError{"40001"})), "behind a nil pointer")
}

func TestFieldOfAnEmbeddedNilIsNone(t *testing.T) {
	type number struct{ Number int }
	type outer struct{ *number }
	_, ok := integerField(reflect.ValueOf(outer{}), "Number")
	assert.False(t, ok)
	n, ok := integerField(reflect.ValueOf(outer{&number{7}}), "Number")
	assert.True(t, ok)
	assert.EqualValues(t, 7, n)
	_, ok = integerField(reflect.ValueOf(struct{ Number string }{"7"}), "Number")
	assert.False(t, ok)
	_, ok = integerField(reflect.ValueOf(hollow{}), "code")
	assert.False(t, ok)
}

// bare is a driver that has what ent's interface asks for, and nothing else.
type bare struct{ dialect.Driver }

func TestDriverThatCannotBeginTransactionsIsNamed(t *testing.T) {
	pool := stdsql.OpenDB(connector{pq.Driver{}})
	for want, drv := range map[string]dialect.Driver{
		"driver database.bare can't start a transaction with an isolation level; give it a method BeginTx": dialect.Debug(dialect.Debug(bare{sql.OpenDB(dialect.Postgres, pool)})),
		"ent's driver over *sql.Conn can't start a transaction; expected a *sql.DB":                        sql.NewDriver(dialect.Postgres, sql.Conn{ExecQuerier: &stdsql.Conn{}}),
	} {
		_, err := begin(t.Context(), drv, false)
		require.ErrorContains(t, err, want)
	}
}
