package hooks

import (
	"database/sql"
	"database/sql/driver"
	"testing"

	"entgo.io/ent/schema/field"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestIDOfAnInboxComesFromItsDefault(t *testing.T) {
	t.Parallel()
	var newID func() string
	id := NewID(&newID, nil)
	_, err := id()
	require.ErrorContains(t, err, "import the package runtime")

	newID = func() string { return "a" }
	v, err := id()
	require.NoError(t, err)
	assert.Equal(t, "a", v)

	var scanner field.TypeValueScanner[string] = field.ValueScannerFunc[string, *sql.NullString]{
		V: func(id string) (driver.Value, error) { return "stored " + id, nil },
	}
	v, err = NewID(&newID, &scanner)()
	require.NoError(t, err)
	stored, err := v.(driver.Valuer).Value()
	require.NoError(t, err)
	assert.Equal(t, "stored a", stored)
}
