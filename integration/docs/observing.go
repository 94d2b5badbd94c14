package docs

import (
	"context"
	"log/slog"
	"net/http"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/entsignal/signalmetrics"
)

// serveMetrics adds the metrics to what a program serves.
func serveMetrics(mux *http.ServeMux, bus *entsignal.Bus) {
	// snippet: metrics
	mux.Handle("GET /metrics/signalbus", signalmetrics.Handler(bus))
	// end snippet
}

// snippet: observer

// audit writes down what can't be sent anymore.
type audit struct{ log *slog.Logger }

func (a audit) Observe(ctx context.Context, e entsignal.Event) {
	if dead, ok := e.(entsignal.Dead); ok {
		a.log.ErrorContext(ctx, "dead", "signal", dead.Signal, "ids", dead.IDs, "error", dead.Err)
	}
}

// end snippet
