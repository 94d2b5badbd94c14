package entsignal

import (
	"context"
	"errors"

	"github.com/entsignal/signalbus/internal/option"
	"github.com/entsignal/signalbus/internal/sending"
)

// A Tracer connects a bus with a tracing system. The module otelsignal has the one for
// OpenTelemetry. Its methods are called concurrently, within creations and flushes:
// they must return quickly, and must not use the bus. A panic is logged and has no
// other effect.
type Tracer interface {
	// Recording is called before a signal of a type with mixin.Trace is inserted. It
	// returns what to store with it: as a rule the context of the span in ctx, or the zero
	// value. What is no valid W3C Trace Context isn't stored.
	Recording(ctx context.Context, signal string) TraceContext
	// Sending is called before each call of a sender. It returns the context for the
	// sender, which must be made from ctx, and a span, on which End is called when the
	// sender has returned. A nil span is none.
	Sending(ctx context.Context, b Batch) (context.Context, SendSpan)
}

// A SendSpan is a call of a sender, for a [Tracer].
type SendSpan interface {
	// To is called by the sender if it tells where the messages go; see [SendingTo].
	To(d Destination)
	// End is called with what the sender returned. A [*BatchError] with one error for
	// each signal says which were sent. The deletion of their rows isn't committed yet.
	End(err error)
}

// TraceContext identifies a span to other processes, in the form of W3C Trace Context.
type TraceContext struct {
	Traceparent string // empty: there is none
	Tracestate  string
}

// Destination is where a sender sends to.
type Destination struct {
	// System is the message bus, as OpenTelemetry's conventions name it, such as
	// rabbitmq or kafka.
	System string
	// Operation is the system's own word for sending, such as publish.
	Operation string
	// Name is that of the topic, the exchange or the queue; empty if the messages of the
	// batch go to several.
	Name string
	// RoutingKey is that of RabbitMQ; empty if there is none, or several.
	RoutingKey string
	// Address and Port are those of the server; empty and 0 if they aren't known.
	Address string
	Port    int
}

// SendingTo tells the [Tracer] of the bus that called the sender with ctx where its
// messages go. It is meant for packages that connect a message bus, and optional.
// Without a tracer, and with any other context, it does nothing.
func SendingTo(ctx context.Context, d Destination) {
	if span, ok := sending.Span(ctx).(SendSpan); ok {
		span.To(d)
	}
}

// WithTracer makes t follow the signals of the bus. By default nothing does, which costs
// nothing. A bus has one tracer: a second one is an error.
func WithTracer(t Tracer) BusOption {
	return busOption{option.New("WithTracer", func(b *option.Bus) error {
		switch {
		case t == nil:
			return errors.New("WithTracer: the tracer is nil")
		case b.Tracer != nil:
			return errors.New("WithTracer: the bus has a tracer already")
		}
		b.Tracer = t
		return nil
	})}
}

// Options makes one option of several, for packages that extend a bus.
func Options(opts ...BusOption) BusOption {
	return busOption{option.New("Options", func(b *option.Bus) error {
		for _, opt := range opts {
			o, ok := opt.(busOption)
			if !ok {
				return errors.New("Options: a nil BusOption")
			}
			if err := o.Apply(b); err != nil {
				return err
			}
		}
		return nil
	})}
}
