package database

import (
	"reflect"
	"strings"
)

// Types of drivers are recognized by their shape, because importing the drivers would link them
// into every program. Their values may be anything, even nil pointers.

// packageOf returns the package path of v's type, or of the type that v points to.
// For nil it returns an empty string.
func packageOf(v any) string {
	t := reflect.TypeOf(v)
	if t == nil {
		return ""
	}
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t.PkgPath()
}

// asError finds an error of the type T in the tree of err.
func asError[T any](err error) (found T, ok bool) {
	walk(err, func(err error) bool {
		found, ok = err.(T) //nolint:errorlint // the walk itself
		return ok
	})
	return found, ok
}

// errorField looks in the tree of err for a struct with that type name, from a
// package whose path contains pkg, and returns its integer field.
func errorField(err error, pkg, typeName, field string) (n int64, ok bool) {
	walk(err, func(err error) bool {
		if v := reflect.Indirect(reflect.ValueOf(err)); isOfType(v, pkg, typeName) {
			n, ok = integerField(v, field)
		}
		return ok
	})
	return n, ok
}

// hasType reports whether the tree of err contains a struct with that type name,
// from a package whose path contains pkg.
func hasType(err error, pkg, typeName string) bool {
	return walk(err, func(err error) bool { return isOfType(reflect.Indirect(reflect.ValueOf(err)), pkg, typeName) })
}

func isOfType(v reflect.Value, pkg, typeName string) bool {
	return v.Kind() == reflect.Struct && v.Type().Name() == typeName && strings.Contains(v.Type().PkgPath(), pkg)
}

// walk calls visit with each error in the tree of err until it returns true. It
// skips nil pointers, because their methods may panic.
func walk(err error, visit func(error) bool) bool {
	if v := reflect.ValueOf(err); !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil() {
		return false
	}
	if visit(err) {
		return true
	}
	switch err := err.(type) { //nolint:errorlint // see above
	case interface{ Unwrap() error }:
		return walk(err.Unwrap(), visit)
	case interface{ Unwrap() []error }:
		for _, err := range err.Unwrap() {
			if walk(err, visit) {
				return true
			}
		}
	}
	return false
}

// integerField returns an integer field of a struct.
func integerField(v reflect.Value, name string) (int64, bool) {
	f, ok := v.Type().FieldByName(name)
	if !ok {
		return 0, false
	}
	value, err := v.FieldByIndexErr(f.Index) // fails for a field of an embedded nil
	switch {
	case err != nil:
		return 0, false
	case value.CanInt():
		return value.Int(), true
	case value.CanUint():
		return int64(value.Uint()), true
	default:
		return 0, false
	}
}
