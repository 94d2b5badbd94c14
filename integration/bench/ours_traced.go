package main

import (
	"context"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/integration/bench/ent"
	"github.com/entsignal/signalbus/otelsignal"
)

// telemetry is an SDK that samples 1 % of the traces, and exports nothing.
type telemetry struct {
	traces *sdktrace.TracerProvider
	opts   []entsignal.BusOption
}

// telemetryOf returns that of a job; without traces if it has none.
func telemetryOf(j job) (t telemetry) {
	if !j.Observed && !j.ByHand {
		return t
	}
	t.traces = sdktrace.NewTracerProvider(sdktrace.WithBatcher(dropped{}),
		sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.TraceIDRatioBased(0.01))))
	if j.Observed {
		t.opts = []entsignal.BusOption{otelsignal.Instrument(
			otelsignal.WithTracerProvider(t.traces),
			otelsignal.WithMeterProvider(sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewManualReader()))),
		)}
	}
	return t
}

func (t telemetry) close(ctx context.Context) error {
	if t.traces == nil {
		return nil
	}
	return t.traces.Shutdown(context.WithoutCancel(ctx))
}

// dropped is where the spans go.
type dropped struct{}

func (dropped) ExportSpans(context.Context, []sdktrace.ReadOnlySpan) error { return nil }
func (dropped) Shutdown(context.Context) error                             { return nil }

// autoflushTraced measures autoflush with traced signals, each commit in a request of
// its own.
func autoflushTraced(ctx context.Context, j job, m *meter) error {
	to := telemetryOf(j)
	err := autoflushOf(ctx, j, m, func(a *application, ctx context.Context, body []byte) error {
		if to.traces != nil {
			inner, span := to.traces.Tracer("bench").Start(ctx, "request")
			defer span.End()
			ctx = inner
		}
		_, err := a.orderWith(ctx, func(ctx context.Context, tx *ent.Tx, order int) error {
			create := tx.Traced.Create().SetOrderID(order).SetPayload(body)
			if j.ByHand {
				create.SetSignalTraceparent(traceparent(ctx))
			}
			return create.Exec(ctx)
		})
		return err
	}, to.opts...)
	if err != nil {
		return err
	}
	return to.close(ctx)
}

// traceparent returns the context of the current span.
func traceparent(ctx context.Context) string {
	sc := trace.SpanContextFromContext(ctx)
	return "00-" + sc.TraceID().String() + "-" + sc.SpanID().String() + "-" + sc.TraceFlags().String()
}

// flushTraced measures FlushMany of traced signals.
func flushTraced(ctx context.Context, j job, m *meter) error {
	to := telemetryOf(j)
	err := flush(j, m, func(a *application) (int, error) {
		return a.Traced.FlushMany(ctx, entsignal.Burst(j.Burst), entsignal.Workers(j.Parallel))
	}, to.opts...)
	if err != nil {
		return err
	}
	return to.close(ctx)
}
