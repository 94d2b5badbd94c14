package otelsignal

import (
	"context"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/entsignal/signalbus/entsignal"
)

const (
	keyTraceparent = "traceparent"
	keyTracestate  = "tracestate"
)

// inject returns the context of the span in ctx.
func (cfg *config) inject(ctx context.Context) entsignal.TraceContext {
	var c carrier
	if cfg.propagator != nil {
		cfg.propagator.Inject(ctx, &c)
		return c.TraceContext
	}
	p := otel.GetTextMapPropagator()
	p.Inject(ctx, &c)
	if c.Traceparent == "" && len(p.Fields()) == 0 {
		propagation.TraceContext{}.Inject(ctx, &c)
	}
	return c.TraceContext
}

// extract returns a context with the span that a message names.
func (cfg *config) extract(ctx context.Context, headers propagation.TextMapCarrier) context.Context {
	if cfg.propagator != nil {
		return cfg.propagator.Extract(ctx, headers)
	}
	p := otel.GetTextMapPropagator()
	if len(p.Fields()) == 0 {
		p = propagation.TraceContext{}
	}
	return p.Extract(ctx, headers)
}

// remote returns the span that a signal was created in. It reports false if there is none,
// or it isn't sampled: then a link to it leads nowhere.
func remote(tc entsignal.TraceContext) (trace.SpanContext, bool) {
	if !isSampled(tc.Traceparent) { // in short, because most are not
		return trace.SpanContext{}, false
	}
	ctx := propagation.TraceContext{}.Extract(context.Background(), &carrier{tc})
	sc := trace.SpanContextFromContext(ctx)
	return sc, sc.IsValid() && sc.IsSampled()
}

// isSampled looks at the lowest bit of the flags.
func isSampled(traceparent string) bool {
	const last = len("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0")
	if len(traceparent) <= last {
		return false
	}
	switch traceparent[last] {
	case '1', '3', '5', '7', '9', 'b', 'd', 'f':
		return true
	default:
		return false
	}
}

// carrier holds the context of a span without a map.
type carrier struct{ entsignal.TraceContext }

// Get implements [propagation.TextMapCarrier].
func (c *carrier) Get(key string) string {
	switch key {
	case keyTraceparent:
		return c.Traceparent
	case keyTracestate:
		return c.Tracestate
	default:
		return ""
	}
}

// Set implements [propagation.TextMapCarrier].
func (c *carrier) Set(key, value string) {
	switch key {
	case keyTraceparent:
		c.Traceparent = value
	case keyTracestate:
		c.Tracestate = value
	}
}

// Keys implements [propagation.TextMapCarrier].
func (c *carrier) Keys() []string { return []string{keyTraceparent, keyTracestate} }
