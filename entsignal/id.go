package entsignal

import (
	"database/sql"
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"strconv"
)

// InvalidIDError is returned when a text is no id of a signal type. Nothing was
// changed.
type InvalidIDError struct {
	Signal string
	ID     string // as it was given
	Err    error  // what was expected
}

func (e *InvalidIDError) Error() string {
	return fmt.Sprintf("entsignal: signal %s: %q is no id: %v", e.Signal, e.ID, e.Err)
}

// Unwrap returns what was expected.
func (e *InvalidIDError) Unwrap() error { return e.Err }

// parseID is the reverse of formatID. A type of the project's own says itself
// how it is read (encoding.TextUnmarshaler, or else sql.Scanner), unless it is a
// number or a string that is shown as what it is.
func parseID[ID any](text string) (any, error) {
	var id ID
	v := reflect.ValueOf(&id).Elem()
	err := readID(&id, v, text)
	if err != nil {
		return nil, err
	}
	if own := v.Type().PkgPath() != ""; own && formatID(v.Interface()) != text {
		if _, ok := any(&id).(encoding.TextUnmarshaler); !ok {
			return nil, fmt.Errorf("it can't be read as a %T", id)
		}
	}
	return v.Interface(), nil
}

func readID(id any, v reflect.Value, text string) error {
	if u, ok := id.(encoding.TextUnmarshaler); ok {
		if err := u.UnmarshalText([]byte(text)); err != nil {
			return fmt.Errorf("expected a %s: %w", v.Type(), err)
		}
		return nil
	}
	switch bits := 0; {
	case v.CanInt():
		bits = v.Type().Bits()
		n, err := strconv.ParseInt(text, 10, bits)
		if err != nil {
			return numberError(err, bits, "a whole number")
		}
		v.SetInt(n)
		return nil
	case v.CanUint():
		bits = v.Type().Bits()
		n, err := strconv.ParseUint(text, 10, bits)
		if err != nil {
			return numberError(err, bits, "a whole number from 0")
		}
		v.SetUint(n)
		return nil
	case v.Kind() == reflect.String:
		v.SetString(text)
		return nil
	}
	s, ok := id.(sql.Scanner)
	if !ok {
		return fmt.Errorf("a %s can't be read from a text: it has no UnmarshalText method", v.Type())
	}
	if err := s.Scan(text); err != nil {
		return fmt.Errorf("expected a %s: %w", v.Type(), err)
	}
	return nil
}

func numberError(err error, bits int, expected string) error {
	if errors.Is(err, strconv.ErrRange) {
		return fmt.Errorf("expected %s of %d bits", expected, bits)
	}
	return fmt.Errorf("expected %s", expected)
}
