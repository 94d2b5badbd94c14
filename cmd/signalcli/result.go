package signalcli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/entsignal/signalbus/entsignal"
)

// result is the result of a flush.
type result struct {
	Sent        int       `json:"sent"`
	Failed      []failure `json:"failed"`
	Error       string    `json:"error,omitempty"` // an error that concerns no single signal type
	Interrupted bool      `json:"interrupted"`
	// LeftOut lists the types with pending signals that no flush may send now. They
	// aren't failures of this run.
	LeftOut []leftOut `json:"left_out,omitempty"`

	err    error  // the cause of Error
	left   bool   // the flush was stopped before it was done
	ofThem string // the command that lists what was left out
}

// leftOut is a signal type of which a flush has left out some signals.
type leftOut struct {
	Signal  string `json:"signal"`
	Waiting int    `json:"waiting"` // for their next attempt
	Dead    int    `json:"dead"`
}

// failure is a signal type that failed.
type failure struct {
	Signal string `json:"signal"`
	Error  string `json:"error"`

	err error
}

// newResult splits the error of a flush by signal type.
func newResult(sent int, err error) result {
	r := result{Sent: sent, Failed: []failure{}}
	for _, e := range parts(err) {
		if onlyClosed(e) {
			r.left = true
			continue // not a failure: the stop that was asked for
		}
		var flush *entsignal.FlushError
		if errors.As(e, &flush) {
			r.Failed = append(r.Failed, failure{Signal: flush.Signal, Error: redact(flush.Err.Error()), err: e})
			continue
		}
		r.err = errors.Join(r.err, e)
	}
	if r.err != nil {
		r.Error = redact(r.err.Error())
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

// failing returns the names of the types that failed.
func (r result) failing() []string {
	var names []string
	for _, f := range r.Failed {
		names = append(names, f.Signal)
	}
	return names
}

// ok reports whether nothing failed.
func (r result) ok() bool { return r.err == nil && len(r.Failed) == 0 }

// cause returns the error of the whole result, or nil.
func (r result) cause() error {
	if r.ok() {
		return nil
	}
	return &flushFailed{result: r}
}

// print writes the result to w.
func (r result) print(w io.Writer, format string) error {
	var err error
	if format == "json" {
		err = printJSON(w, r)
	} else {
		line := fmt.Sprintf("%d signals sent", r.Sent)
		if r.Sent == 1 {
			line = "1 signal sent"
		}
		if r.Interrupted {
			line += ", interrupted"
		}
		if names := r.failing(); names != nil {
			line += ", failed: " + strings.Join(names, ", ")
		} else if r.err != nil {
			line += ", failed"
		}
		if r.LeftOut != nil {
			line += "\n" + r.leftOut()
		}
		_, err = fmt.Fprintln(w, line)
	}
	if err != nil {
		return fmt.Errorf("print the result: %w", err)
	}
	return nil
}

// leftOut describes what was left out, and how to see it.
func (r result) leftOut() string {
	var (
		sum   leftOut
		names []string
		parts []string
	)
	for _, l := range r.LeftOut {
		sum.Waiting += l.Waiting
		sum.Dead += l.Dead
		names = append(names, l.Signal)
	}
	if sum.Dead > 0 {
		parts = append(parts, fmt.Sprintf("%d dead", sum.Dead))
	}
	if sum.Waiting > 0 {
		parts = append(parts, fmt.Sprintf("%d waiting for the next attempt", sum.Waiting))
	}
	return fmt.Sprintf("left out: %s (%s), see %q", strings.Join(parts, " and "), strings.Join(names, ", "), r.ofThem)
}

// printJSON writes v to w as one line, which keeps its characters: no HTML.
func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// flushFailed is the error of a flush in which something failed. Its text names the
// signal types; the log has the causes.
type flushFailed struct{ result result }

func (e *flushFailed) Error() string {
	names := strings.Join(e.result.failing(), ", ")
	switch {
	case e.result.err == nil:
		return "flush failed for " + names
	case names == "":
		return e.result.Error
	default:
		return fmt.Sprintf("flush failed for %s; %s", names, e.result.Error)
	}
}

// Unwrap returns the causes.
func (e *flushFailed) Unwrap() []error {
	var causes []error
	for _, f := range e.result.Failed {
		causes = append(causes, f.err)
	}
	if e.result.err != nil {
		causes = append(causes, e.result.err)
	}
	return causes
}
