// Package entsignal is not the library.
package entsignal

// ID is the id of a signal.
type ID string
