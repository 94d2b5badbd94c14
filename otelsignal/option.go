package otelsignal

import (
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// scope is the name of the instrumentation.
const scope = "github.com/entsignal/signalbus/otelsignal"

// An Option configures [Instrument] and [NewReceiver].
type Option func(*config)

type config struct {
	meters     metric.MeterProvider
	tracers    trace.TracerProvider
	propagator propagation.TextMapPropagator // nil: the global one
	create     bool
	noGauges   bool
}

func newConfig(opts []Option) *config {
	cfg := &config{}
	for _, opt := range opts {
		if opt != nil {
			opt(cfg)
		}
	}
	if cfg.meters == nil {
		cfg.meters = otel.GetMeterProvider()
	}
	if cfg.tracers == nil {
		cfg.tracers = otel.GetTracerProvider()
	}
	return cfg
}

func (cfg *config) meter() metric.Meter  { return cfg.meters.Meter(scope) }
func (cfg *config) tracer() trace.Tracer { return cfg.tracers.Tracer(scope) }

// WithMeterProvider sets where the metrics go. The default, also for nil, is the global
// provider, which may be set later.
func WithMeterProvider(p metric.MeterProvider) Option { return func(cfg *config) { cfg.meters = p } }

// WithTracerProvider sets where the spans go. The default, also for nil, is the global
// provider, which may be set later.
func WithTracerProvider(p trace.TracerProvider) Option { return func(cfg *config) { cfg.tracers = p } }

// WithPropagator sets how the context of a span is written and read. What is stored of a
// signal is W3C Trace Context, so p must write the keys traceparent and tracestate; others,
// such as baggage, are not stored. The default, also for nil, is the global propagator,
// and W3C Trace Context as long as that is not set. To store no trace, set a composite
// propagator of none.
func WithPropagator(p propagation.TextMapPropagator) Option {
	return func(cfg *config) { cfg.propagator = p }
}

// WithCreateSpans makes a span for each signal with mixin.Trace that is created. By default
// the message carries the context of the span that is current when the signal is created.
// The span says nothing of the commit: after a rollback it stays.
func WithCreateSpans() Option { return func(cfg *config) { cfg.create = true } }

// WithoutGauges leaves out entsignal.pending, entsignal.dead and entsignal.pending.age. They
// are read from the database at each collection, with two to four short queries for each
// signal type. All processes that use the database report the same, so leave them out where
// there are many, and keep them in one or two, such as the relay's.
func WithoutGauges() Option { return func(cfg *config) { cfg.noGauges = true } }
