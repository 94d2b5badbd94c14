package otelsignal

import (
	"context"
	"testing"
	"time"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/entsignal/signalbus/entsignal"
)

// sampling returns the options with an SDK that samples 1 % of the traces.
func sampling() (*sdktrace.TracerProvider, []Option) {
	traces := sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.TraceIDRatioBased(0.01))))
	return traces, []Option{
		WithTracerProvider(traces),
		WithMeterProvider(sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader()))),
	}
}

// BenchmarkRecording is what otelsignal adds to the creation of a signal.
func BenchmarkRecording(b *testing.B) {
	traces, opts := sampling()
	tracer := newTracer(newConfig(opts))
	ctx, span := traces.Tracer("bench").Start(b.Context(), "request")
	defer span.End()
	b.ReportAllocs()
	for b.Loop() {
		tracer.Recording(ctx, "OrderPlaced")
	}
}

// BenchmarkSending is what otelsignal adds to a batch: its spans, and the metrics of
// its events. One of a hundred signals is sampled.
func BenchmarkSending(b *testing.B) {
	for name, n := range map[string]int{"1 signal": 1, "500 signals": 500} {
		b.Run(name, func(b *testing.B) {
			_, opts := sampling()
			cfg := newConfig(opts)
			tracer := newTracer(cfg)
			m := newMetrics(cfg.meter(), []entsignal.Info{{Name: "OrderPlaced"}})
			contexts := make([]entsignal.TraceContext, n)
			for i := range contexts {
				contexts[i] = traceContext(i+1, map[bool]string{true: "01", false: "00"}[i%100 == 99])
			}
			batch := batch(contexts...)
			ctx := context.Background()
			b.ReportAllocs()
			for b.Loop() {
				_, span := tracer.Sending(ctx, batch)
				span.To(entsignal.Destination{System: "rabbitmq", Operation: "publish", Name: "orders", Address: "mq", Port: 5672})
				span.End(nil)
				m.Observe(ctx, entsignal.Recorded{Signal: "OrderPlaced", Count: n})
				m.Observe(ctx, entsignal.Sent{Signal: "OrderPlaced", Mode: entsignal.ModeAutoFlush, Count: n, Took: time.Millisecond, Lag: time.Second})
			}
		})
	}
}
