package view

import (
	"errors"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/internal/secret"
)

// Flush is the result of a flush.
type Flush struct {
	Sent        int       `json:"sent"`
	Failed      []Failure `json:"failed"`
	Error       string    `json:"error,omitempty"` // an error that concerns no single signal type
	Interrupted bool      `json:"interrupted"`
	// LeftOut lists the types with pending signals that no flush may send now. They
	// aren't failures of this run.
	LeftOut []LeftOut `json:"left_out,omitempty"`

	Err  error `json:"-"` // the cause of Error
	Left bool  `json:"-"` // the flush was stopped before it was done
}

// LeftOut is a signal type of which a flush has left out some signals.
type LeftOut struct {
	Signal  string `json:"signal"`
	Waiting int    `json:"waiting"` // for their next attempt
	Dead    int    `json:"dead"`
}

// Failure is a signal type that failed.
type Failure struct {
	Signal string `json:"signal"`
	Error  string `json:"error"`

	Err error `json:"-"`
}

// NewFlush splits the error of a flush by signal type.
func NewFlush(sent int, err error) Flush {
	r := Flush{Sent: sent, Failed: []Failure{}}
	for _, e := range parts(err) {
		if onlyClosed(e) {
			r.Left = true
			continue // not a failure: the stop that was asked for
		}
		var flush *entsignal.FlushError
		if errors.As(e, &flush) {
			r.Failed = append(r.Failed, Failure{Signal: flush.Signal, Error: secret.Redact(flush.Err.Error()), Err: e})
			continue
		}
		r.Err = errors.Join(r.Err, e)
	}
	if r.Err != nil {
		r.Error = secret.Redact(r.Err.Error())
	}
	return r
}

// parts returns the errors that err joins, or err alone.
func parts(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()
	}
	if err == nil {
		return nil
	}
	return []error{err}
}

// onlyClosed reports whether err only means that a flush was stopped between two
// batches, or while it waited for the lock of an order.
func onlyClosed(err error) bool {
	closed := false
	var walk func(error) bool
	walk = func(err error) bool {
		switch e := err.(type) { //nolint:errorlint // the walk itself
		case interface{ Unwrap() []error }:
			for _, part := range e.Unwrap() {
				if !walk(part) {
					return false
				}
			}
			return true
		case interface{ Unwrap() error }:
			return walk(e.Unwrap())
		}
		isClosed := errors.Is(err, entsignal.ErrClosed)
		closed = closed || isClosed
		return isClosed || errors.Is(err, entsignal.ErrBusy)
	}
	return walk(err) && closed
}
