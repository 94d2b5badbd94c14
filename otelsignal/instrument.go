package otelsignal

import (
	"go.opentelemetry.io/otel"

	"github.com/entsignal/signalbus/entsignal"
)

// Instrument returns the option of a bus that switches its metrics and traces on. It uses
// the global providers and propagator unless opts say otherwise. A bus takes one of it.
// It never fails: what OpenTelemetry refuses goes to its global error handler.
func Instrument(opts ...Option) entsignal.BusOption {
	cfg := newConfig(opts)
	return entsignal.Options(
		entsignal.WithTracer(newTracer(cfg)),
		entsignal.WithSetup(func(bus *entsignal.Bus) error {
			m := newMetrics(cfg.meter(), bus.Signals())
			bus.AddObserver(m)
			if err := m.watch(cfg.meter(), bus, !cfg.noGauges); err != nil {
				otel.Handle(err)
			}
			return nil
		}),
	)
}
