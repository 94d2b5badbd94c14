package engine

import (
	"context"
	"slices"
	"time"

	"entgo.io/ent"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/internal/foreign"
	"github.com/entsignal/signalbus/internal/sending"
	"github.com/entsignal/signalbus/internal/table"
	"github.com/entsignal/signalbus/internal/trace"
)

// recording stores the trace of a signal in the mutation that creates it, unless the
// application has set one.
func (e *Engine) recording(ctx context.Context, name string, m ent.Mutation) {
	if e.tracer == nil || m.Type() != name ||
		!slices.ContainsFunc(e.types, func(t *signalType) bool { return t.info.Name == name && t.Traced() }) {
		return
	}
	if _, set := m.Field(trace.FieldTraceparent); set {
		return
	}
	var tc entsignal.TraceContext
	e.askTracer(ctx, func() { tc = e.tracer.Recording(ctx, name) })
	parent, state := trace.Valid(tc.Traceparent, tc.Tracestate)
	for _, f := range []struct{ field, value string }{{trace.FieldTraceparent, parent}, {trace.FieldTracestate, state}} {
		if f.value == "" {
			continue
		}
		if err := m.SetField(f.field, f.value); err != nil && e.logged.first("trace of "+name) {
			e.logFailure(ctx, "the trace of a signal can't be stored; this is logged once", err)
		}
	}
}

// traced calls send within the tracer's span, if there is one.
func (e *Engine) traced(ctx context.Context, b entsignal.Batch, send func(context.Context) error) error {
	if e.tracer == nil {
		return send(ctx)
	}
	var span entsignal.SendSpan
	inner := ctx
	e.askTracer(ctx, func() { inner, span = e.tracer.Sending(ctx, b) })
	if span == nil || inner == nil {
		return send(ctx)
	}
	err := send(sending.WithSpan(inner, span))
	e.askTracer(ctx, func() { span.End(err) })
	return err
}

// askTracer calls the tracer, and logs a panic.
func (e *Engine) askTracer(ctx context.Context, do func()) {
	if p := foreign.Do(do); p != nil && e.logged.first("tracer panicked") {
		e.logFailure(ctx, "a tracer has panicked; this is logged once", p)
	}
}

// itemOf describes a row to its sender.
func itemOf(rows table.Rows, i int) entsignal.Item {
	item := entsignal.Item{ID: rows.IDText(i)}
	state := rows.Trace(i)
	if state.RecordedAt != nil {
		item.RecordedAt = state.RecordedAt.UTC()
	}
	item.Trace.Traceparent, item.Trace.Tracestate = state.Context()
	return item
}

// lag returns how long ago the oldest row that was sent was recorded; 0 if that isn't
// known.
func (b *batch) lag(now time.Time) (lag time.Duration) {
	if !b.signal.Traced() {
		return 0
	}
	for i, r := range b.results {
		if at := b.rows.Trace(i).RecordedAt; r.err == nil && at != nil {
			lag = max(lag, now.Sub(*at))
		}
	}
	return lag
}
