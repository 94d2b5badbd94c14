package otelsignal

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/internal/secret"
	"github.com/entsignal/signalbus/internal/telemetry"
)

// maxLinks is how many links the span of a batch has. SDKs keep as many by default.
const maxLinks = 128

// tracer is the [entsignal.Tracer] of a bus.
type tracer struct {
	cfg      *config
	spans    trace.Tracer
	sent     metric.Int64Counter
	duration metric.Float64Histogram
	series   seriesOptions
}

func newTracer(cfg *config) *tracer {
	t := &tracer{cfg: cfg, spans: cfg.tracer()}
	var errs [2]error
	t.sent, errs[0] = cfg.meter().Int64Counter("messaging.client.sent.messages",
		metric.WithUnit("{message}"), metric.WithDescription("Number of messages producer attempted to send to the broker."))
	t.duration, errs[1] = cfg.meter().Float64Histogram("messaging.client.operation.duration",
		metric.WithUnit("s"), metric.WithDescription("Duration of messaging operation initiated by a producer or consumer client."),
		operationBuckets)
	handle(errs[:]...)
	return t
}

// operationBuckets are those of the conventions.
var operationBuckets = metric.WithExplicitBucketBoundaries(.005, .01, .025, .05, .075, .1, .25, .5, .75, 1, 2.5, 5, 7.5, 10)

// handle passes errors to OpenTelemetry.
func handle(errs ...error) {
	if err := errors.Join(errs...); err != nil {
		otel.Handle(err)
	}
}

// Recording implements [entsignal.Tracer].
func (t *tracer) Recording(ctx context.Context, signal string) entsignal.TraceContext {
	if t.cfg.create {
		var span trace.Span
		ctx, span = t.spans.Start(ctx, "create "+signal, trace.WithSpanKind(trace.SpanKindProducer), trace.WithAttributes(
			keySystem.String("entsignal"), // where it goes from there isn't known yet
			keyOperation.String("create"),
			keyOperationType.String("create"),
			keyDestination.String(signal),
			keySpanSignal.String(signal),
		))
		defer span.End()
	}
	return t.cfg.inject(ctx)
}

// Sending implements [entsignal.Tracer].
func (t *tracer) Sending(ctx context.Context, b entsignal.Batch) (context.Context, entsignal.SendSpan) {
	s := &sendSpan{t: t, batch: b, began: time.Now()}
	// A sampler sees only these: the system and the destination aren't known before the
	// sender tells them. What it doesn't need is set only on spans that are recorded.
	options := []trace.SpanStartOption{
		trace.WithSpanKind(trace.SpanKindClient),
		trace.WithTimestamp(s.began),
		trace.WithAttributes(
			keyOperation.String("send"),
			keyOperationType.String("send"),
			keySpanSignal.String(b.Signal.Name),
			keySpanMode.String(b.Mode.String()),
		),
	}
	if links := linksTo(b); links != nil {
		options = append(options, trace.WithLinks(links...))
	}
	s.ctx, s.span = t.spans.Start(ctx, "send "+b.Signal.Name, options...)
	switch {
	case !s.span.IsRecording():
	case len(b.Items) == 1:
		s.span.SetAttributes(keyMessageID.String(messageID(b, b.Items[0])))
	default:
		s.span.SetAttributes(keyBatchCount.Int(len(b.Items)))
	}
	return s.ctx, s
}

// linksTo returns the links to the spans that created the signals of a batch.
func linksTo(b entsignal.Batch) (links []trace.Link) {
	for _, item := range b.Items {
		if len(links) == maxLinks {
			break
		}
		if sc, ok := remote(item.Trace); ok {
			links = append(links, trace.Link{SpanContext: sc, Attributes: []attribute.KeyValue{keyMessageID.String(messageID(b, item))}})
		}
	}
	return links
}

// messageID returns the id that rabbitmq.Sender gives a message.
func messageID(b entsignal.Batch, item entsignal.Item) string { return b.Signal.Name + ":" + item.ID }

// sendSpan is one call of a sender.
type sendSpan struct {
	t     *tracer
	ctx   context.Context
	span  trace.Span
	batch entsignal.Batch
	began time.Time
	to    entsignal.Destination
}

// To implements [entsignal.SendSpan].
func (s *sendSpan) To(d entsignal.Destination) {
	s.to = d
	if s.to.Operation == "" {
		s.to.Operation = "send"
	}
	if !s.span.IsRecording() {
		return
	}
	// The exchange has few names. A routing key may have many.
	name := s.to.Operation + " " + d.Name
	if d.Name == "" {
		name = s.to.Operation + " " + s.batch.Signal.Name
	}
	s.span.SetName(name)
	s.span.SetAttributes(keyOperation.String(s.to.Operation))
	s.span.SetAttributes(brokerAttributes(d.System, d.Address, d.Port)...)
	if full := fullName(d.Name, d.RoutingKey); full != "" {
		s.span.SetAttributes(keyDestination.String(full))
	}
	if d.System == rabbitMQ && d.RoutingKey != "" {
		s.span.SetAttributes(keyRoutingKey.String(d.RoutingKey))
	}
}

// End implements [entsignal.SendSpan].
func (s *sendSpan) End(err error) {
	ended := time.Now()
	o := s.outcome(err)
	if o.first != "" && s.span.IsRecording() {
		s.span.SetAttributes(keyErrorType.String(string(o.first)))
		s.span.SetStatus(codes.Error, describe(err))
	}
	s.span.End(trace.WithTimestamp(ended))
	if s.to.System != "" {
		s.measure(ended.Sub(s.began), o)
	}
	for i, item := range s.batch.Items {
		if o.errs == nil || o.errs[i] == nil {
			s.wait(item)
		}
	}
}

// describe returns the text of an error for a span: without passwords, and as UTF-8,
// because an exporter drops a whole batch of spans for one text that isn't.
func describe(err error) string {
	return strings.ToValidUTF8(secret.Redact(err.Error()), "\uFFFD")
}

// outcome is what became of a batch.
type outcome struct {
	errs   []error // one for each signal; nil: all were sent
	sent   int
	failed map[telemetry.ErrorType]int // without those that were not tried
	first  telemetry.ErrorType         // of the first signal that failed
}

func (s *sendSpan) outcome(err error) (o outcome) {
	n := len(s.batch.Items)
	if err == nil {
		return outcome{sent: n}
	}
	var apart *entsignal.BatchError
	if errors.As(err, &apart) && len(apart.Errors) == n {
		o.errs = apart.Errors
	} else {
		o.errs = slices.Repeat([]error{err}, n)
	}
	o.failed = make(map[telemetry.ErrorType]int)
	for _, err := range o.errs {
		if err == nil {
			o.sent++
			continue
		}
		t := telemetry.TypeOf(err)
		if o.first == "" {
			o.first = t
		}
		if !errors.Is(err, entsignal.ErrNotTried) {
			o.failed[t]++
		}
	}
	return o
}

// measure records the metrics of the conventions.
func (s *sendSpan) measure(took time.Duration, o outcome) {
	ctx := context.WithoutCancel(s.ctx)
	one := seriesOf(s.to, s.batch.Signal.Name)
	if o.sent > 0 {
		s.t.sent.Add(ctx, int64(o.sent), s.t.series.option(one))
	}
	for failure, n := range o.failed {
		one.failure = failure
		s.t.sent.Add(ctx, int64(n), s.t.series.option(one))
	}
	one.failure = o.first
	s.t.duration.Record(ctx, took.Seconds(), s.t.series.option(one))
}

// wait makes the span for the time that a signal has waited, in the trace that created it.
func (s *sendSpan) wait(item entsignal.Item) {
	created, ok := remote(item.Trace)
	if !ok || item.RecordedAt.IsZero() {
		return
	}
	end := s.began
	if end.Before(item.RecordedAt) { // by another clock
		end = item.RecordedAt
	}
	opts := []trace.SpanStartOption{
		trace.WithTimestamp(item.RecordedAt),
		trace.WithAttributes(
			keySpanSignal.String(s.batch.Signal.Name),
			keySpanMode.String(s.batch.Mode.String()),
			keyMessageID.String(messageID(s.batch, item)),
		),
	}
	if sc := s.span.SpanContext(); sc.IsSampled() {
		opts = append(opts, trace.WithLinks(trace.Link{SpanContext: sc}))
	}
	ctx := trace.ContextWithRemoteSpanContext(context.WithoutCancel(s.ctx), created)
	_, span := s.t.spans.Start(ctx, "wait "+s.batch.Signal.Name, opts...)
	span.End(trace.WithTimestamp(end))
}
