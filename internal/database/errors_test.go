package database

import (
	"errors"
	"fmt"
	"testing"

	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"
	"github.com/stretchr/testify/assert"
)

// The shapes of errors of drivers that this module doesn't require.
type pgxError struct{ code string }

func (e *pgxError) Error() string    { return e.code }
func (e *pgxError) SQLState() string { return e.code }

func TestSerializationFailuresOfPostgres(t *testing.T) {
	for code, want := range map[string]bool{"40001": true, "40P01": true, "55P03": false, "23505": false} {
		assert.Equal(t, want, IsSerializationFailure(fmt.Errorf("x: %w", &pq.Error{Code: pqerror.Code(code)})), code)
		assert.Equal(t, want, IsSerializationFailure(errors.Join(errors.New("x"), &pgxError{code})), code)
	}
	assert.False(t, IsSerializationFailure(nil))
	assert.False(t, IsSerializationFailure(errors.New("40001")))
}

// MySQLError looks like the driver's error, but is of another package.
type MySQLError struct{ Number uint16 }

func (e *MySQLError) Error() string { return "" }

func TestServersThatTakeNoWritesAreAway(t *testing.T) {
	for code, want := range map[string]bool{"25006": true, "57P01": true, "08006": true, "0A000": false, "42501": false} {
		assert.Equal(t, want, IsUnavailable(fmt.Errorf("x: %w", &pq.Error{Code: pqerror.Code(code)})), code)
		assert.Equal(t, want, IsUnavailable(errors.Join(errors.New("x"), &pgxError{code})), code)
	}
	assert.False(t, IsUnavailable(nil))
}

func TestErrorsOfOtherPackagesAreNoConflicts(t *testing.T) {
	assert.False(t, IsSerializationFailure(&MySQLError{Number: 1213}))
}
