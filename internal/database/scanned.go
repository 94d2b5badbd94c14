package database

import (
	"database/sql/driver"
	"fmt"
	"reflect"
	"time"

	"entgo.io/ent/dialect"
)

// In SQLite a blob is not equal to the text with the same bytes. Other databases tell
// by the column which of both a value is, and their drivers give either as bytes.

// TextOf returns a value that was read through drv as one that is equal to it in the
// database.
func TextOf(drv dialect.Driver, v any) any {
	if b, ok := v.([]byte); ok && drv.Dialect() != dialect.SQLite {
		return string(b)
	}
	return v
}

// KeyOf is [TextOf] for a key, which also has to be comparable in Go.
func KeyOf(drv dialect.Driver, v any) any {
	if b, ok := v.([]byte); ok && drv.Dialect() == dialect.SQLite {
		return blob(b)
	}
	return TextOf(drv, v)
}

// A blob is bytes of SQLite.
type blob string

// Value implements [driver.Valuer].
func (b blob) Value() (driver.Value, error) { return []byte(b), nil }

// Comparable returns a value of the database as one by which a map finds it.
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
