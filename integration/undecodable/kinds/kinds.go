// Package kinds has the types of a project's own that refuse some of what is
// stored.
package kinds

import (
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"

	"entgo.io/ent/schema/field"
)

// errBroken is what reading a broken seal fails with.
var errBroken = errors.New("the seal is broken")

// Seal is stored as text, and read by its own Scan method.
type Seal struct{ Text string }

// Value implements driver.Valuer.
func (s Seal) Value() (driver.Value, error) { return s.Text, nil }

// Scan implements sql.Scanner.
func (s *Seal) Scan(src any) error {
	var ok bool
	defer func() {
		if s.Text == "panics" {
			panic(errBroken)
		}
	}()
	if s.Text, ok = text(src); !ok || s.Text == "broken" {
		return errBroken
	}
	return nil
}

// Stamp is stored as text, and read by StampScanner.
type Stamp struct{ Text string }

// StampScanner is the ValueScanner of a Stamp.
var StampScanner = field.ValueScannerFunc[Stamp, *sql.NullString]{
	V: func(s Stamp) (driver.Value, error) { return s.Text, nil },
	S: func(src *sql.NullString) (Stamp, error) {
		switch src.String {
		case "broken":
			return Stamp{}, errBroken
		case "panics":
			panic(errBroken)
		default:
			return Stamp{src.String}, nil
		}
	},
}

func text(src any) (string, bool) {
	switch src := src.(type) {
	case string:
		return src, true
	case []byte:
		return string(src), true
	default:
		return fmt.Sprint(src), src != nil
	}
}
