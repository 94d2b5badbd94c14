package signalcli

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/entsignal/signalbus/internal/view"
)

// result is the result of a flush.
type result struct {
	view.Flush

	ofThem string // the command that lists what was left out
}

// newResult splits the error of a flush by signal type.
func newResult(sent int, err error) result { return result{Flush: view.NewFlush(sent, err)} }

// failing returns the names of the types that failed.
func (r result) failing() []string {
	var names []string
	for _, f := range r.Failed {
		names = append(names, f.Signal)
	}
	return names
}

// ok reports whether nothing failed.
func (r result) ok() bool { return r.Err == nil && len(r.Failed) == 0 }

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
		} else if r.Err != nil {
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
		sum   view.LeftOut
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
	case e.result.Err == nil:
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
		causes = append(causes, f.Err)
	}
	if e.result.Err != nil {
		causes = append(causes, e.result.Err)
	}
	return causes
}
