// Package signalmetrics serves the metrics of a bus to Prometheus:
//
//	http.Handle("GET /metrics", signalmetrics.Handler(bus))
//
// "signalbus run --listen" serves the same at /metrics. These are the metrics; the
// label signal is the name of the type, and mode how it was sent, such as "autoflush":
//
//	entsignal_recorded_total{signal}               committed signals
//	entsignal_sent_total{signal,mode}              confirmed messages
//	entsignal_failed_total{signal,error_type}      failed attempts
//	entsignal_pending{signal}                      pending signals, up to 10,001
//	entsignal_dead{signal}                         the dead ones of them, up to 10,001
//	entsignal_pending_age_seconds{signal}          age of the oldest that isn't dead
//	entsignal_paused{signal}                       1 while broker or database is away
//	entsignal_lag_seconds{signal,mode}             histogram: from recording to deletion
//	entsignal_send_duration_seconds{signal,mode}   histogram: of a batch
//	entsignal_flush_duration_seconds{signal,mode}  histogram: of a flush of a type
//
// The counters, the histograms and entsignal_paused count what this process does, from
// the call of [Handler] on. The other three are read from the database, so that each
// process has the same: take their maximum, not their sum.
//
// The package depends on the standard library only. It has no registry; scrape this
// handler beside the one of another library, or use OpenTelemetry for all of it.
package signalmetrics

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/entsignal/signalbus/entsignal"
)

// contentType is the text format of Prometheus. It is understood by everything that
// reads OpenMetrics too.
const contentType = "text/plain; version=0.0.4; charset=utf-8"

// Handler returns the metrics of bus in the text format of Prometheus. It counts events
// from now on, for the life of the bus, so make one for each bus, before the bus is
// used. The series exist from the start, with 0, except for the histograms of modes that
// are unusual for a type.
//
// A request reads the database at most once a second, and less often if that is slow:
// after a read it leaves the database alone for twenty times as long as that took, up to
// 30 seconds. It waits 2 seconds at most, and less if the scrape ends earlier. What could
// not be read is shown as it was for up to a minute, and then left out.
//
// The handler lets everybody in. The metrics contain the names of the signal types and
// numbers, and nothing of the messages. It panics if bus is nil.
func Handler(bus *entsignal.Bus) http.Handler {
	if bus == nil {
		panic("signalmetrics: Handler: the bus is nil")
	}
	h := &handler{events: newEvents(bus.Signals()), table: newTable(bus, time.Now)}
	bus.AddObserver(h.events)
	return h
}

type handler struct {
	events *events
	table  *table
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "expected GET", http.StatusMethodNotAllowed)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), patience(r))
	defer cancel()
	now := h.table.read(ctx)
	var t text
	h.events.write(&t)
	h.table.write(&t, now)
	header := w.Header()
	header.Set("Content-Type", contentType)
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Content-Length", strconv.Itoa(t.Len()))
	_, _ = t.WriteTo(w)
}

// patience returns how long a request may wait for the database. Prometheus tells
// when its scrape ends, and would lose the counters too.
func patience(r *http.Request) time.Duration {
	const most = 2 * time.Second
	seconds, err := strconv.ParseFloat(r.Header.Get("X-Prometheus-Scrape-Timeout-Seconds"), 64)
	if err != nil || !(seconds > 0) || seconds > 4 {
		return most
	}
	return time.Duration(seconds / 2 * float64(time.Second))
}
