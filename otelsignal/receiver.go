package otelsignal

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/entsignal/signalbus/internal/telemetry"
)

// A Receiver traces and measures how messages are handled. For a consumer of package
// rabbitmq use otelrabbitmq.Middleware, which has one. It is safe for concurrent use.
type Receiver struct {
	cfg      *config
	spans    trace.Tracer
	consumed metric.Int64Counter
	duration metric.Float64Histogram
}

// NewReceiver returns a receiver. The options WithCreateSpans and WithoutGauges have no
// effect here.
func NewReceiver(opts ...Option) *Receiver {
	cfg := newConfig(opts)
	r := &Receiver{cfg: cfg, spans: cfg.tracer()}
	var errs [2]error
	r.consumed, errs[0] = cfg.meter().Int64Counter("messaging.client.consumed.messages",
		metric.WithUnit("{message}"), metric.WithDescription("Number of messages that were delivered to the application."))
	r.duration, errs[1] = cfg.meter().Float64Histogram("messaging.process.duration",
		metric.WithUnit("s"), metric.WithDescription("Duration of processing operation."), operationBuckets)
	handle(errs[:]...)
	return r
}

// Incoming describes a message that is to be handled.
type Incoming struct {
	System     string // the message bus, such as rabbitmq
	Exchange   string // to which it was published; empty if there is none
	RoutingKey string // of RabbitMQ
	Queue      string // or the topic. There should be few of them: it is an attribute of metrics
	MessageID  string
	// Headers has those of the message. Values that are no text are left out.
	Headers propagation.TextMapCarrier
}

// Handle calls handle within a span that continues the trace of the message, and
// returns its error. The context of handle carries the span. A panic of handle is not
// recovered.
func (r *Receiver) Handle(ctx context.Context, in Incoming, handle func(context.Context) error) error {
	began := time.Now()
	opts := []trace.SpanStartOption{
		trace.WithSpanKind(trace.SpanKindConsumer),
		trace.WithTimestamp(began),
		trace.WithAttributes(
			keySystem.String(in.System),
			keyOperation.String("process"),
			keyOperationType.String("process"),
			keyDestination.String(fullName(in.Exchange, in.RoutingKey, in.Queue)),
		),
	}
	if in.MessageID != "" {
		opts = append(opts, trace.WithAttributes(keyMessageID.String(in.MessageID)))
	}
	if in.System == rabbitMQ && in.RoutingKey != "" {
		opts = append(opts, trace.WithAttributes(keyRoutingKey.String(in.RoutingKey)))
	}
	if in.Headers != nil {
		ctx = r.cfg.extract(ctx, in.Headers)
		if sc := trace.SpanContextFromContext(ctx); sc.IsRemote() && sc.IsValid() {
			opts = append(opts, trace.WithLinks(trace.Link{SpanContext: sc}))
		}
	}
	ctx, span := r.spans.Start(ctx, "process "+in.Queue, opts...)
	failure := telemetry.Panic // a panic, and a handler that ends its goroutine
	defer func() {
		ended := time.Now()
		if failure != "" {
			span.SetAttributes(keyErrorType.String(string(failure)))
		}
		if failure == telemetry.Panic {
			span.SetStatus(codes.Error, "the handler panicked")
		}
		span.End(trace.WithTimestamp(ended))
		r.measure(ctx, in, failure, ended.Sub(began))
	}()
	err := handle(ctx)
	failure = ""
	if err != nil {
		failure = telemetry.TypeOf(err)
		span.SetStatus(codes.Error, describe(err))
	}
	return err
}

func (r *Receiver) measure(ctx context.Context, in Incoming, failure telemetry.ErrorType, took time.Duration) {
	attributes := []attribute.KeyValue{keySystem.String(in.System), keyOperation.String("process"), keyDestination.String(in.Queue)}
	if failure != "" {
		attributes = append(attributes, keyErrorType.String(string(failure)))
	}
	set := metric.WithAttributeSet(attribute.NewSet(attributes...))
	ctx = context.WithoutCancel(ctx)
	r.consumed.Add(ctx, 1, set)
	r.duration.Record(ctx, took.Seconds(), set)
}
