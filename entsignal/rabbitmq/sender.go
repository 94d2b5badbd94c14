package rabbitmq

import (
	"context"
	"fmt"
	"maps"

	"github.com/entsignal/signalbus/entsignal"
)

// Sender returns a sender that encodes each signal and publishes all of them with
// one call of [Publisher.Publish], whose errors it returns.
//
// A message without a MessageID gets "<Signal>:<id>", which is the same each time
// the row is sent. This needs the context of a bus; with any other context the
// message has no id.
//
// A signal that was created in a trace (see mixin.Trace) gives its message the headers
// traceparent and tracestate, as they were stored, unless encode sets the header
// traceparent itself.
//
// If encode returns an error, only its signal fails and the others are published.
// In a FlushOrdered nothing is published after the first signal that can't be
// encoded. Wrap the error in [entsignal.Permanent] if encoding it again can't help.
// While FlushMany waits for the confirms of one batch, it claims and publishes the
// next. encode runs within the flush, so it must be quick and must not wait for
// anything.
func Sender[T any](p *Publisher, encode func(T) (Message, error)) entsignal.Sender[T] {
	return func(ctx context.Context, signals []T) error {
		batch, _ := entsignal.BatchFromContext(ctx)
		return sendBatch(ctx, p, batch, signals, encode)
	}
}

func sendBatch[T any](ctx context.Context, p *Publisher, batch entsignal.Batch, signals []T, encode func(T) (Message, error)) error {
	msgs := make([]Message, len(signals))
	errs := make([]error, len(signals))
	for i, signal := range signals {
		msg, err := encode(signal)
		if msg.MessageID == "" && len(batch.Items) == len(signals) {
			msg.MessageID = batch.Signal.Name + ":" + batch.Items[i].ID
		}
		if len(batch.Items) == len(signals) {
			msg.Headers = withTrace(msg.Headers, batch.Items[i].Trace)
		}
		if err != nil {
			errs[i] = &messageError{id: msg.MessageID, pos: i, err: fmt.Errorf("encode: %w", err)}
		}
		msgs[i] = msg
	}
	return p.publish(ctx, batch.Mode, msgs, errs, func() { entsignal.Published(ctx) })
}

// The headers of W3C Trace Context.
const (
	headerTraceparent = "traceparent"
	headerTracestate  = "tracestate"
)

// withTrace returns the headers with the trace context, in a map of its own.
func withTrace(headers map[string]any, trace entsignal.TraceContext) map[string]any {
	if _, set := headers[headerTraceparent]; set || trace.Traceparent == "" {
		return headers
	}
	traced := make(map[string]any, len(headers)+2)
	traced[headerTraceparent] = trace.Traceparent
	if trace.Tracestate != "" {
		traced[headerTracestate] = trace.Tracestate
	}
	maps.Copy(traced, headers) // what encode has set wins
	return traced
}
