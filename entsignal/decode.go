package entsignal

import "regexp"

// DecodeError is the error of a signal whose row can't be decoded into an entity.
// The usual cause is a row or a table that doesn't fit the schema, written by
// another program or another version of this one. The row at fault may also be one
// that is loaded together with the signal. The error is marked as [Permanent].
// Other signals are still sent. Fix the row or the program and retry the signal, or
// delete it with [Bus.Discard], which works without mixin.Retry too.
type DecodeError struct {
	Err error // the error of ent or the driver
}

// scannedValue matches the value that database/sql puts into its error. The value
// is part of the message, so it must not be shown.
var scannedValue = regexp.MustCompile(`(converting driver\.Value type \S+) \("(?:[^"\\]|\\.)*"\)`)

func (e *DecodeError) Error() string {
	return "the row can't be decoded: " + scannedValue.ReplaceAllString(e.Err.Error(), "$1")
}

// Unwrap returns the cause.
func (e *DecodeError) Unwrap() error { return e.Err }
