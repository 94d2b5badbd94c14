// Package mark has the marks that a sender puts on an error: whether trying the
// same message again can help, and whether trying another one can. They are set
// by entsignal.Permanent and entsignal.Unavailable, and found by [errors.As].
package mark

// Permanent marks an error of the message itself.
type Permanent struct{ Err error }

func (e *Permanent) Error() string { return e.Err.Error() }

// Unwrap returns the error without its mark.
func (e *Permanent) Unwrap() error { return e.Err }

// Unavailable marks an error of the way to the broker.
type Unavailable struct{ Err error }

func (e *Unavailable) Error() string { return e.Err.Error() }

// Unwrap returns the error without its mark.
func (e *Unavailable) Unwrap() error { return e.Err }
