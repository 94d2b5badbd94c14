package signalweb

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

const (
	// maxStreams is how many streams of events there may be at a time.
	maxStreams = 100
	// eventEvery is how often a stream may have an event, and stillThere how often it has
	// something at least.
	eventEvery = time.Second
	stillThere = 15 * time.Second
	// slowTime is how long a reader may take for an event.
	slowTime = 10 * time.Second
)

// getEvents sends the states of all types whenever they have changed, as long as the
// request is permitted.
func (s *server) getEvents(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // a proxy should not collect them
	if r.Method == http.MethodHead {
		return nil
	}
	select {
	case s.streams <- struct{}{}:
		defer func() { <-s.streams }()
	default:
		w.Header().Set("Retry-After", "10")
		return &httpError{http.StatusServiceUnavailable, "too many streams of events"}
	}
	out := http.NewResponseController(w)
	send := func(format string, args ...any) bool {
		if s.authorize(r) < ReadOnly { // it was permitted when the stream began
			return false
		}
		_ = out.SetWriteDeadline(time.Now().Add(slowTime))
		_, err := fmt.Fprintf(w, format, args...)
		return err == nil && out.Flush() == nil
	}
	ticker := time.NewTicker(eventEvery)
	defer ticker.Stop()
	var (
		last []byte
		sent time.Time
		ok   = send("retry: 3000\n\n")
	)
	for ok {
		now, err := json.Marshal(s.signals(r.Context()))
		switch {
		case err != nil:
			return nil // there is no way to tell it now
		case !bytes.Equal(now, last):
			last, sent = now, time.Now()
			ok = send("event: signals\ndata: %s\n\n", now)
		case time.Since(sent) >= stillThere:
			sent = time.Now()
			ok = send(": still there\n\n")
		}
		select {
		case <-ticker.C:
		case <-r.Context().Done():
			return nil
		}
	}
	return nil
}
