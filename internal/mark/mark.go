// Package mark has the marks that a sender puts on an error: whether sending the
// same message again can help, and whether sending another one can.
// entsignal.Permanent and entsignal.Unavailable set them, and [errors.As] finds
// them.
package mark

// Permanent marks an error of the message itself.
type Permanent struct{ Err error }

func (e *Permanent) Error() string { return e.Err.Error() }

// Unwrap returns the error without its mark.
func (e *Permanent) Unwrap() error { return e.Err }

// Unavailable marks an outage.
type Unavailable struct{ Err error }

func (e *Unavailable) Error() string { return e.Err.Error() }

// Unwrap returns the error without its mark.
func (e *Unavailable) Unwrap() error { return e.Err }
