// Package trace has what mixin.Trace stores with a signal: when it was recorded, and
// the W3C Trace Context of the span that recorded it. The bus reads it when it sends
// the signal, and never writes it again.
package trace

import (
	"strings"
	"time"
)

// The fields of mixin.Trace. Their columns have the same names.
const (
	FieldRecordedAt  = "signal_recorded_at"
	FieldTraceparent = "signal_traceparent"
	FieldTracestate  = "signal_tracestate"
)

// The largest sizes that are stored, in bytes. A traceparent of today has 55, and nobody
// must pass on a longer tracestate.
const (
	maxTraceparent = 255
	maxTracestate  = 512
)

// State holds the columns of a row. All of them may be NULL.
type State struct {
	RecordedAt  *time.Time
	Traceparent *string
	Tracestate  *string
}

// Context returns the trace context of the row, or empty strings without a valid one.
func (s State) Context() (traceparent, tracestate string) {
	if s.Traceparent != nil {
		traceparent = *s.Traceparent
	}
	if s.Tracestate != nil {
		tracestate = *s.Tracestate
	}
	return Valid(traceparent, tracestate)
}

// Valid returns the trace context if a row can hold it and a header may. Without a
// valid traceparent it returns empty strings, and without a valid tracestate only the
// traceparent.
func Valid(traceparent, tracestate string) (string, string) {
	if !isTraceparent(traceparent) {
		return "", ""
	}
	if len(tracestate) > maxTracestate || strings.ContainsFunc(tracestate, func(r rune) bool { return r < ' ' || r > '~' }) {
		tracestate = ""
	}
	return traceparent, tracestate
}

// isTraceparent reports whether s is version-traceid-spanid-flags, perhaps with more
// behind it if the version is a later one.
func isTraceparent(s string) bool {
	const length = 55
	if len(s) < length || len(s) > maxTraceparent || s[2] != '-' || s[35] != '-' || s[52] != '-' {
		return false
	}
	version, traceID, spanID, flags, rest := s[:2], s[3:35], s[36:52], s[53:55], s[length:]
	switch {
	case !isHex(version) || version == "ff" || !isHex(flags):
		return false
	case !isHex(traceID) || strings.Trim(traceID, "0") == "":
		return false
	case !isHex(spanID) || strings.Trim(spanID, "0") == "":
		return false
	case rest == "":
		return true
	default:
		return version != "00" && rest[0] == '-' && !strings.ContainsFunc(rest, func(r rune) bool { return r <= ' ' || r > '~' })
	}
}

func isHex(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return (r < '0' || r > '9') && (r < 'a' || r > 'f') })
}
