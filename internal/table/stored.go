package table

import (
	"database/sql/driver"

	"entgo.io/ent/schema/field"
)

// Stored returns v as the field's ValueScanner, which is not set before the
// program runs, gives it to the database.
func Stored[V any](scanner *field.TypeValueScanner[V], v V) driver.Valuer {
	return stored[V]{scanner, v}
}

type stored[V any] struct {
	scanner *field.TypeValueScanner[V]
	v       V
}

// Value implements [driver.Valuer].
func (s stored[V]) Value() (driver.Value, error) { return (*s.scanner).Value(s.v) }
