package database

import (
	"database/sql/driver"
	"fmt"
	"reflect"
	"time"

	"entgo.io/ent/dialect"
)

// In SQLite a blob is not equal to the text with the same bytes. In other databases the column
// determines which of the two a value is, and their drivers return both as bytes.

// TextOf returns a value that was read with drv in a form that is equal to it in
// the database.
func TextOf(drv dialect.Driver, v any) any {
	if b, ok := v.([]byte); ok && drv.Dialect() != dialect.SQLite {
		return string(b)
	}
	return v
}

// KeyOf is [TextOf] for a key, which must also be comparable in Go.
func KeyOf(drv dialect.Driver, v any) any {
	if b, ok := v.([]byte); ok && drv.Dialect() == dialect.SQLite {
		return blob(b)
	}
	return TextOf(drv, v)
}

// A blob is a value of SQLite's type BLOB.
type blob string

// Value implements [driver.Valuer].
func (b blob) Value() (driver.Value, error) { return []byte(b), nil }

// Comparable returns a database value in a form that can be a map key.
func Comparable(v any) any {
	switch v := v.(type) {
	case int, int64, string:
		return v
	case []byte:
		return string(v)
	case time.Time:
		return v.UnixNano()
	}
	if v == nil || reflect.TypeOf(v).Comparable() {
		return v
	}
	return fmt.Sprint(v)
}
