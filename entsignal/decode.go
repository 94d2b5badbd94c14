package entsignal

import "regexp"

// DecodeError is the error of a signal whose row can't be made an entity:
// another version of the program, or another program, has written something
// else than the schema says, or has changed the table. It may also be about a
// row that is loaded with the signal. It is marked as [Permanent]; the other
// signals are sent. Once the row or the program is mended the signal can be
// retried, and with [Bus.Discard] it can be deleted, also without mixin.Retry.
type DecodeError struct {
	Err error // what ent or the driver says
}

// scannedValue finds the value in an error of database/sql, which is a part of the
// message.
var scannedValue = regexp.MustCompile(`(converting driver\.Value type \S+) \("(?:[^"\\]|\\.)*"\)`)

func (e *DecodeError) Error() string {
	return "the row can't be decoded: " + scannedValue.ReplaceAllString(e.Err.Error(), "$1")
}

// Unwrap returns the cause.
func (e *DecodeError) Unwrap() error { return e.Err }
