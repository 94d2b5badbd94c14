package otelsignal

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/propagation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/internal/telemetry"
)

// sdk is an SDK in memory.
type sdk struct {
	spans  *tracetest.SpanRecorder
	traces *sdktrace.TracerProvider
	meters *sdkmetric.MeterProvider
	reader *sdkmetric.ManualReader
	opts   []Option
}

func newSDK(t *testing.T, opts ...sdktrace.TracerProviderOption) *sdk {
	t.Helper()
	s := &sdk{spans: tracetest.NewSpanRecorder(), reader: sdkmetric.NewManualReader()}
	s.traces = sdktrace.NewTracerProvider(append(opts, sdktrace.WithSpanProcessor(s.spans))...)
	s.meters = sdkmetric.NewMeterProvider(sdkmetric.WithReader(s.reader))
	s.opts = []Option{WithTracerProvider(s.traces), WithMeterProvider(s.meters)}
	return s
}

func (s *sdk) start(t *testing.T) (context.Context, trace.Span) {
	return s.traces.Tracer("test").Start(t.Context(), "request")
}

// sums returns the sums and counts of all metrics, by their names and attributes.
func (s *sdk) sums(t *testing.T) map[string]float64 {
	t.Helper()
	var all metricdata.ResourceMetrics
	require.NoError(t, s.reader.Collect(t.Context(), &all))
	sums := make(map[string]float64)
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			key := func(set attribute.Set) string { return m.Name + "{" + set.Encoded(attribute.DefaultEncoder()) + "}" }
			switch data := m.Data.(type) {
			case metricdata.Sum[int64]:
				for _, p := range data.DataPoints {
					sums[key(p.Attributes)] = float64(p.Value)
				}
			case metricdata.Histogram[float64]:
				for _, p := range data.DataPoints {
					sums[key(p.Attributes)] = float64(p.Count)
				}
			case metricdata.Gauge[int64]:
				for _, p := range data.DataPoints {
					sums[key(p.Attributes)] = float64(p.Value)
				}
			default:
				t.Fatalf("%s: %T", m.Name, data)
			}
		}
	}
	return sums
}

// attributes returns the attributes of a span as text.
func attributes(all []attribute.KeyValue) map[string]string {
	m := make(map[string]string)
	for _, a := range all {
		m[string(a.Key)] = a.Value.String()
	}
	return m
}

func traceContext(n int, flags string) entsignal.TraceContext {
	return entsignal.TraceContext{Traceparent: fmt.Sprintf("00-%032x-%016x-%s", n, n, flags), Tracestate: "vendor=1"}
}

func batch(contexts ...entsignal.TraceContext) entsignal.Batch {
	b := entsignal.Batch{Signal: entsignal.Info{Name: "OrderPlaced"}, Mode: entsignal.ModeFlushMany}
	for i, tc := range contexts {
		b.Items = append(b.Items, entsignal.Item{ID: fmt.Sprint(i + 1), Trace: tc, RecordedAt: time.Now().Add(-time.Hour)})
	}
	return b
}

func TestContextOfTheCurrentSpanIsStored(t *testing.T) {
	s := newSDK(t)
	ctx, span := s.start(t)
	tc := newTracer(newConfig(s.opts)).Recording(ctx, "OrderPlaced")
	want := fmt.Sprintf("00-%s-%s-01", span.SpanContext().TraceID(), span.SpanContext().SpanID())
	assert.Equal(t, want, tc.Traceparent, "also while the application has set no global propagator")
	assert.Zero(t, newTracer(newConfig(s.opts)).Recording(t.Context(), "OrderPlaced"), "outside of a span")
	own := append(s.opts, WithPropagator(propagation.TraceContext{}))
	assert.Equal(t, want, newTracer(newConfig(own)).Recording(ctx, "OrderPlaced").Traceparent)
	none := append(s.opts, WithPropagator(propagation.NewCompositeTextMapPropagator()))
	assert.Zero(t, newTracer(newConfig(none)).Recording(ctx, "OrderPlaced"))
	assert.Empty(t, s.spans.Ended())
}

func TestCreateSpansAreMadeOnDemand(t *testing.T) {
	s := newSDK(t)
	ctx, request := s.start(t)
	tc := newTracer(newConfig(append(s.opts, WithCreateSpans()))).Recording(ctx, "OrderPlaced")
	require.Len(t, s.spans.Ended(), 1)
	span := s.spans.Ended()[0]
	assert.Equal(t, "create OrderPlaced", span.Name())
	assert.Equal(t, trace.SpanKindProducer, span.SpanKind())
	assert.Equal(t, request.SpanContext().SpanID(), span.Parent().SpanID())
	assert.Contains(t, tc.Traceparent, span.SpanContext().SpanID().String())
	assert.Equal(t, map[string]string{
		"messaging.system": "entsignal", "messaging.operation.name": "create", "messaging.operation.type": "create",
		"messaging.destination.name": "OrderPlaced", "entsignal.signal": "OrderPlaced",
	}, attributes(span.Attributes()))
}

func TestSpanOfABatchLinksToTheSpansThatCreatedItsSignals(t *testing.T) {
	s := newSDK(t)
	ctx, span := newTracer(newConfig(s.opts)).Sending(t.Context(), batch(traceContext(1, "01"), traceContext(2, "00"), entsignal.TraceContext{}, traceContext(4, "03")))
	assert.True(t, trace.SpanContextFromContext(ctx).IsValid())
	span.To(entsignal.Destination{System: "rabbitmq", Operation: "publish", Name: "orders", RoutingKey: "placed", Address: "mq", Port: 5672})
	span.End(nil)
	ended := s.spans.Ended()
	require.Len(t, ended, 3)
	send, waits := ended[0], ended[1:]
	assert.Equal(t, "publish orders", send.Name())
	assert.Equal(t, trace.SpanKindClient, send.SpanKind())
	assert.False(t, send.Parent().IsValid())
	assert.Equal(t, codes.Unset, send.Status().Code)
	assert.Equal(t, map[string]string{
		"messaging.system": "rabbitmq", "messaging.operation.name": "publish", "messaging.operation.type": "send",
		"messaging.destination.name": "orders:placed", "messaging.rabbitmq.destination.routing_key": "placed",
		"messaging.batch.message_count": "4", "server.address": "mq", "server.port": "5672",
		"entsignal.signal": "OrderPlaced", "entsignal.mode": "flushmany",
	}, attributes(send.Attributes()))
	require.Len(t, send.Links(), 2, "only to what is sampled")
	for i, n := range []int{1, 4} {
		assert.Equal(t, fmt.Sprintf("%032x", n), send.Links()[i].SpanContext.TraceID().String())
		assert.Equal(t, map[string]string{"messaging.message.id": fmt.Sprint("OrderPlaced:", n)}, attributes(send.Links()[i].Attributes))
		wait := waits[i]
		assert.Equal(t, "wait OrderPlaced", wait.Name())
		assert.Equal(t, trace.SpanKindInternal, wait.SpanKind())
		assert.Equal(t, fmt.Sprintf("%016x", n), wait.Parent().SpanID().String())
		assert.Equal(t, fmt.Sprintf("%032x", n), wait.SpanContext().TraceID().String())
		assert.InDelta(t, time.Hour, wait.EndTime().Sub(wait.StartTime()), float64(time.Minute))
		require.Len(t, wait.Links(), 1)
		assert.Equal(t, send.SpanContext().SpanID(), wait.Links()[0].SpanContext.SpanID())
	}
}

func TestLinksOfABatchAreBounded(t *testing.T) {
	s := newSDK(t)
	many := make([]entsignal.TraceContext, 500)
	for i := range many {
		many[i] = traceContext(i+1, "01")
	}
	_, span := newTracer(newConfig(s.opts)).Sending(t.Context(), batch(many...))
	span.End(errors.New("no"))
	require.Len(t, s.spans.Ended(), 1, "no signal has ended its wait")
	assert.Len(t, s.spans.Ended()[0].Links(), maxLinks)
	assert.Zero(t, s.spans.Ended()[0].DroppedLinks())
}

func TestOneSignalIsNoBatch(t *testing.T) {
	s := newSDK(t)
	b := batch(traceContext(1, "01"))
	b.Items[0].RecordedAt = time.Now().Add(time.Hour) // by a clock that is wrong
	_, span := newTracer(newConfig(s.opts)).Sending(t.Context(), b)
	span.To(entsignal.Destination{System: "nats"})
	span.End(nil)
	send, wait := s.spans.Ended()[0], s.spans.Ended()[1]
	assert.Equal(t, "send OrderPlaced", send.Name())
	assert.Equal(t, map[string]string{
		"messaging.system": "nats", "messaging.operation.name": "send", "messaging.operation.type": "send", "messaging.message.id": "OrderPlaced:1",
		"entsignal.signal": "OrderPlaced", "entsignal.mode": "flushmany",
	}, attributes(send.Attributes()))
	assert.Zero(t, wait.EndTime().Sub(wait.StartTime()))
}

func TestUnsampledBatchLeavesTheWaitOfItsSampledSignals(t *testing.T) {
	s := newSDK(t, sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.NeverSample())))
	_, span := newTracer(newConfig(s.opts)).Sending(t.Context(), batch(traceContext(1, "01"), traceContext(2, "00")))
	span.To(entsignal.Destination{System: "rabbitmq"})
	span.End(nil)
	require.Len(t, s.spans.Ended(), 1)
	assert.Equal(t, "wait OrderPlaced", s.spans.Ended()[0].Name())
	assert.Empty(t, s.spans.Ended()[0].Links(), "a link to what isn't sampled leads nowhere")
}

func TestFailuresHaveOneOfTheTypes(t *testing.T) {
	s := newSDK(t)
	tracer := newTracer(newConfig(s.opts))
	_, span := tracer.Sending(t.Context(), batch(make([]entsignal.TraceContext, 6)...))
	span.To(entsignal.Destination{System: "rabbitmq", Operation: "publish", Address: "mq"})
	span.End(&entsignal.BatchError{Errors: []error{nil, errors.New("no"), entsignal.Permanent(errors.New("no")), errors.New("no"),
		entsignal.ErrNotTried, entsignal.Unavailable(entsignal.ErrNotTried)}}) // the conventions count what was tried
	_, span = tracer.Sending(t.Context(), batch(make([]entsignal.TraceContext, 2)...))
	span.To(entsignal.Destination{System: "rabbitmq", Operation: "publish", Address: "mq"})
	span.End(entsignal.Unavailable(errors.New("away")))
	_, span = tracer.Sending(t.Context(), batch(entsignal.TraceContext{})) // where to isn't known
	span.End(nil)

	ended := s.spans.Ended()
	require.Len(t, ended, 3)
	assert.Equal(t, codes.Error, ended[0].Status().Code)
	assert.Contains(t, ended[0].Status().Description, "5 of 6 not sent")
	assert.Equal(t, "refused", attributes(ended[0].Attributes())["error.type"])
	assert.Equal(t, "unavailable", attributes(ended[1].Attributes())["error.type"])
	const publish = "entsignal.signal=OrderPlaced,%smessaging.operation.name=publish,messaging.operation.type=send,messaging.system=rabbitmq,server.address=mq}"
	assert.Equal(t, map[string]float64{
		fmt.Sprintf("messaging.client.sent.messages{"+publish, ""):                             1,
		fmt.Sprintf("messaging.client.sent.messages{"+publish, "error.type=refused,"):          2,
		fmt.Sprintf("messaging.client.sent.messages{"+publish, "error.type=permanent,"):        1,
		fmt.Sprintf("messaging.client.sent.messages{"+publish, "error.type=unavailable,"):      2,
		fmt.Sprintf("messaging.client.operation.duration{"+publish, "error.type=refused,"):     1,
		fmt.Sprintf("messaging.client.operation.duration{"+publish, "error.type=unavailable,"): 1,
	}, s.sums(t))
}

func TestErrorsInSpansHideSecrets(t *testing.T) {
	s := newSDK(t)
	err := errors.New("amqp://ada:hunter2@mq: no such vhost \xff")
	_, span := newTracer(newConfig(s.opts)).Sending(t.Context(), batch(entsignal.TraceContext{}))
	span.End(err)
	require.Error(t, NewReceiver(s.opts...).Handle(t.Context(), Incoming{}, func(context.Context) error { return err }))
	require.Len(t, s.spans.Ended(), 2)
	for _, span := range s.spans.Ended() {
		assert.Equal(t, "amqp://***@mq: no such vhost \uFFFD", span.Status().Description)
	}
}

func TestErrorThatNamesNoSignalIsNoFailure(t *testing.T) {
	s := newSDK(t)
	_, span := newTracer(newConfig(s.opts)).Sending(t.Context(), batch(entsignal.TraceContext{}))
	span.End(&entsignal.BatchError{Errors: []error{nil}})
	assert.Equal(t, codes.Unset, s.spans.Ended()[0].Status().Code)
	assert.NotContains(t, attributes(s.spans.Ended()[0].Attributes()), "error.type")
}

func TestEventsAreMeasured(t *testing.T) {
	s := newSDK(t)
	m := newMetrics(newConfig(s.opts).meter(), []entsignal.Info{{Name: "A"}, {Name: "B"}})
	bus := &entsignal.Bus{}
	defer runtime.KeepAlive(bus) // its gauges end with it
	require.NoError(t, m.watch(newConfig(s.opts).meter(), bus, false))
	for _, e := range []entsignal.Event{
		entsignal.Recorded{Signal: "A", Count: 3},
		entsignal.Sent{Signal: "A", Mode: entsignal.ModeAutoFlush, Count: 2, Took: time.Second, Lag: time.Minute},
		entsignal.Sent{Signal: "A", Mode: entsignal.ModeFlush, Count: 1, Took: time.Second},
		entsignal.Failed{Signal: "A", Mode: entsignal.ModeFlush, Count: 2, Err: entsignal.Permanent(errors.New("no"))},
		entsignal.Dead{Signal: "A", IDs: []string{"1"}},
		entsignal.Flushed{Signal: "A", Mode: entsignal.ModeFlush, Took: time.Second},
		entsignal.Paused{Signal: "A"}, entsignal.Paused{Signal: "B"}, entsignal.Resumed{Signal: "B"},
		entsignal.Recorded{Signal: "unknown", Count: 1},
	} {
		m.Observe(t.Context(), e)
	}
	want := make(map[string]float64)
	for _, signal := range []string{"A", "B"} {
		for _, mode := range modes {
			want[fmt.Sprintf("entsignal.sent{mode=%s,signal=%s}", mode, signal)] = 0
		}
		for _, failure := range telemetry.ErrorTypes() {
			want[fmt.Sprintf("entsignal.failed{error.type=%s,signal=%s}", failure, signal)] = 0
		}
	}
	maps.Copy(want, map[string]float64{
		"entsignal.recorded{signal=A}":                     3,
		"entsignal.recorded{signal=B}":                     0,
		"entsignal.sent{mode=autoflush,signal=A}":          2,
		"entsignal.sent{mode=flush,signal=A}":              1,
		"entsignal.failed{error.type=permanent,signal=A}":  2,
		"entsignal.lag{mode=autoflush,signal=A}":           1,
		"entsignal.send.duration{mode=autoflush,signal=A}": 1,
		"entsignal.send.duration{mode=flush,signal=A}":     1,
		"entsignal.flush.duration{mode=flush,signal=A}":    1,
		"entsignal.paused{signal=A}":                       1,
		"entsignal.paused{signal=B}":                       0,
	})
	assert.Equal(t, want, s.sums(t), "what was not yet counted is 0")
}

func TestCountersStartAt0WithAProviderThatIsSetLater(t *testing.T) {
	t.Cleanup(func() { otel.SetMeterProvider(noop.NewMeterProvider()) })
	s := newSDK(t)
	cfg := newConfig(nil)
	m := newMetrics(cfg.meter(), []entsignal.Info{{Name: "A"}})
	bus := &entsignal.Bus{}
	defer runtime.KeepAlive(bus)
	require.NoError(t, m.watch(cfg.meter(), bus, false))
	otel.SetMeterProvider(s.meters)
	got := s.sums(t)
	assert.Contains(t, got, "entsignal.recorded{signal=A}")
	assert.Contains(t, got, "entsignal.failed{error.type=refused,signal=A}")
	assert.Contains(t, got, "entsignal.sent{mode=autoflush,signal=A}")
}

func TestReceiverContinuesTheTraceOfTheMessage(t *testing.T) {
	s := newSDK(t)
	r := NewReceiver(s.opts...)
	in := Incoming{System: "rabbitmq", Exchange: "orders", RoutingKey: "placed", Queue: "billing", MessageID: "OrderPlaced:1",
		Headers: propagation.MapCarrier{"traceparent": traceContext(7, "01").Traceparent, "tracestate": "vendor=1"}}
	failure := entsignal.Permanent(errors.New("no"))
	err := r.Handle(t.Context(), in, func(ctx context.Context) error {
		assert.Equal(t, fmt.Sprintf("%032x", 7), trace.SpanContextFromContext(ctx).TraceID().String())
		return failure
	})
	require.Equal(t, failure, err)
	span := s.spans.Ended()[0]
	assert.Equal(t, "process billing", span.Name())
	assert.Equal(t, trace.SpanKindConsumer, span.SpanKind())
	assert.Equal(t, fmt.Sprintf("%016x", 7), span.Parent().SpanID().String())
	require.Len(t, span.Links(), 1)
	assert.Equal(t, span.Parent().SpanID(), span.Links()[0].SpanContext.SpanID())
	assert.Equal(t, codes.Error, span.Status().Code)
	assert.Equal(t, map[string]string{
		"messaging.system": "rabbitmq", "messaging.operation.name": "process", "messaging.operation.type": "process",
		"messaging.destination.name": "orders:placed:billing", "messaging.rabbitmq.destination.routing_key": "placed",
		"messaging.message.id": "OrderPlaced:1", "error.type": "permanent",
	}, attributes(span.Attributes()))

	in.Headers, in.RoutingKey = nil, "billing"
	require.NoError(t, r.Handle(t.Context(), in, func(context.Context) error { return nil }))
	span = s.spans.Ended()[1]
	assert.False(t, span.Parent().IsValid())
	assert.Empty(t, span.Links())
	assert.Equal(t, "orders:billing", attributes(span.Attributes())["messaging.destination.name"])
	assert.Panics(t, func() { _ = r.Handle(t.Context(), in, func(context.Context) error { panic("ouch") }) })
	assert.Equal(t, "panic", attributes(s.spans.Ended()[2].Attributes())["error.type"])
	assert.Equal(t, codes.Error, s.spans.Ended()[2].Status().Code)

	const process = "messaging.destination.name=billing,messaging.operation.name=process,messaging.system=rabbitmq}"
	assert.Equal(t, map[string]float64{
		"messaging.client.consumed.messages{" + process:                      1,
		"messaging.client.consumed.messages{error.type=permanent," + process: 1,
		"messaging.client.consumed.messages{error.type=panic," + process:     1,
		"messaging.process.duration{" + process:                              1,
		"messaging.process.duration{error.type=permanent," + process:         1,
		"messaging.process.duration{error.type=panic," + process:             1,
	}, s.sums(t))
}

func TestWithoutAnSDKNothingHappens(t *testing.T) {
	tracer := newTracer(newConfig(nil))
	assert.Zero(t, tracer.Recording(t.Context(), "OrderPlaced"))
	_, span := tracer.Sending(t.Context(), batch(traceContext(1, "01")))
	span.To(entsignal.Destination{System: "rabbitmq"})
	span.End(nil)
	require.NoError(t, NewReceiver(nil, WithMeterProvider(nil)).Handle(t.Context(), Incoming{}, func(context.Context) error { return nil }))
}

func TestModuleLinksTheAPIAlone(t *testing.T) {
	for pkg, forbidden := range map[string][]string{
		".":              {"go.opentelemetry.io/otel/sdk", "github.com/rabbitmq/", "github.com/stretchr/", "testing"},
		"./otelrabbitmq": {"go.opentelemetry.io/otel/sdk", "github.com/stretchr/", "testing"},
	} {
		out, err := exec.Command("go", "list", "-deps", pkg).CombinedOutput()
		require.NoError(t, err, "%s", out)
		for dep := range strings.FieldsSeq(string(out)) {
			for _, bad := range forbidden {
				assert.False(t, dep == bad || strings.HasPrefix(dep, strings.TrimSuffix(bad, "/")+"/"), "%s links %s", pkg, dep)
			}
		}
	}
}
