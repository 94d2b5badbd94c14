package tracing_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/entsignal/rabbitmq"
	"github.com/entsignal/signalbus/integration/internal/testdb"
	"github.com/entsignal/signalbus/integration/tracing/ent"
	"github.com/entsignal/signalbus/otelsignal"
	"github.com/entsignal/signalbus/otelsignal/otelrabbitmq"
)

// The environment of a process that a test starts: this test binary, which is then a
// service instead.
const (
	childService = "TRACING_SERVICE" // relay or consumer
	childDSN     = "TRACING_DSN"
	childQueue   = "TRACING_QUEUE"
	childBackend = "TRACING_BACKEND"
)

// TestMain also serves as those processes.
func TestMain(m *testing.M) {
	if service := os.Getenv(childService); service != "" {
		if err := runService(service); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// newTracers returns the SDK of a service, whose spans leave when they end.
func newTracers(service, backend string) (*sdktrace.TracerProvider, error) {
	exporter, err := otlptracehttp.New(context.Background(), otlptracehttp.WithEndpointURL(backend+"/v1/traces"))
	if err != nil {
		return nil, err
	}
	return sdktrace.NewTracerProvider(sdktrace.WithSyncer(exporter),
		sdktrace.WithResource(resource.NewSchemaless(attribute.String("service.name", service)))), nil
}

// runService is the program of such a process. It runs until its standard input ends.
func runService(service string) error {
	ctx, end := context.WithTimeout(context.Background(), 2*time.Minute)
	defer end()
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		end()
	}()
	tracers, err := newTracers(service, os.Getenv(childBackend))
	if err != nil {
		return err
	}
	defer func() { _ = tracers.Shutdown(context.Background()) }()
	url, queue := os.Getenv("ENTSIGNAL_TEST_AMQP"), os.Getenv(childQueue)
	if service == "consumer" {
		c, err := rabbitmq.NewConsumer(url, queue, func(ctx context.Context, d rabbitmq.Delivery) error {
			_, span := tracers.Tracer("billing").Start(ctx, "bill "+fmt.Sprint(d.Headers["traceparent"]))
			span.End()
			return nil
		}, rabbitmq.WithMiddleware(otelrabbitmq.Middleware(otelsignal.WithTracerProvider(tracers))))
		if err != nil {
			return err
		}
		return c.Run(ctx)
	}
	pub, err := rabbitmq.NewPublisher(url, rabbitmq.WithAppID("shop"))
	if err != nil {
		return err
	}
	defer pub.Close(context.Background())
	bus, err := ent.NewSignalBus(ent.SignalSenders{
		OrderPlaced: rabbitmq.Sender(pub, func(s *ent.OrderPlaced) (rabbitmq.Message, error) {
			return rabbitmq.Message{RoutingKey: queue, Body: []byte(strconv.Itoa(s.Number))}, nil
		}),
	}, entsignal.WithMissingSenders(), otelsignal.Instrument(otelsignal.WithTracerProvider(tracers)))
	if err != nil {
		return err
	}
	driver, err := (&testdb.DB{Kind: testdb.PostgreSQL, DSN: os.Getenv(childDSN)}).Connect()
	if err != nil {
		return err
	}
	defer driver.Close()
	ent.NewClient(ent.Driver(driver), ent.WithSignalBus(bus))
	// Types with an autoflush are looked at once a minute, which is for what was left.
	for ctx.Err() == nil {
		if _, err := bus.FlushMany(ctx); err != nil && !errors.Is(err, context.Canceled) {
			return err
		}
		select {
		case <-ctx.Done():
		case <-time.After(10 * time.Millisecond):
		}
	}
	return nil
}

// startService starts such a process, and ends it with the test.
func startService(t *testing.T, service string, env ...string) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(append(os.Environ(), childService+"="+service), env...)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		stdin.Close()
		assert.NoError(t, cmd.Wait())
	})
}

// newQueue declares a queue, which goes with the test.
func newQueue(t *testing.T) string {
	t.Helper()
	conn, err := amqp.Dial(testdb.Env(t, "ENTSIGNAL_TEST_AMQP"))
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	ch, err := conn.Channel()
	require.NoError(t, err)
	q, err := ch.QueueDeclare(fmt.Sprintf("tracing_%d_%d", os.Getpid(), time.Now().UnixNano()), false, false, false, false, nil)
	require.NoError(t, err)
	t.Cleanup(func() { _, _ = ch.QueueDelete(q.Name, false, false, false) })
	return q.Name
}

func TestTraceSpansTheRequestTheRelayAndTheConsumer(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string][]otelsignal.Option{
		"without create spans": nil,
		"with create spans":    {otelsignal.WithCreateSpans()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			backend, queue, db := newBackend(t), newQueue(t), testdb.New(t, testdb.PostgreSQL)
			tracers, err := newTracers("shop", backend.url)
			require.NoError(t, err)
			defer func() { _ = tracers.Shutdown(context.Background()) }()
			bus, err := ent.NewSignalBus(ent.SignalSenders{}, entsignal.WithMissingSenders(),
				otelsignal.Instrument(append(opts, otelsignal.WithTracerProvider(tracers))...))
			require.NoError(t, err)
			client := ent.NewClient(ent.Driver(db.Driver(t)), ent.WithSignalBus(bus))
			db.CreateTables(t, func(out io.Writer) error { return client.Schema.WriteTo(t.Context(), out) })
			shop := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				ctx, span := tracers.Tracer("shop").Start(r.Context(), "POST /orders", trace.WithSpanKind(trace.SpanKindServer))
				defer span.End()
				assert.NoError(t, client.Atomic(ctx, func(ctx context.Context, tx *ent.Tx) error {
					return tx.OrderPlaced.Create().SetNumber(17).Exec(ctx)
				}))
			}))
			defer shop.Close()
			env := []string{childDSN + "=" + db.DSN, childQueue + "=" + queue, childBackend + "=" + backend.url}
			startService(t, "relay", env...)
			startService(t, "consumer", env...)

			response, err := http.Post(shop.URL, "text/plain", nil)
			require.NoError(t, err)
			response.Body.Close()

			request := backend.await(t, "shop", "POST /orders")
			creator := request
			if opts != nil {
				creator = backend.await(t, "shop", "create OrderPlaced")
				assert.Equal(t, otlp.Span_SPAN_KIND_PRODUCER, creator.Kind)
				assert.Equal(t, request.ref(), creator.parent())
			}
			send := backend.await(t, "relay", "publish OrderPlaced")
			assert.Equal(t, otlp.Span_SPAN_KIND_CLIENT, send.Kind)
			assert.Empty(t, send.ParentSpanId, "a batch has many creators, so its span is a child of none")
			assert.Equal(t, []string{creator.ref()}, send.links())
			assert.Equal(t, "rabbitmq", send.attribute("messaging.system"))
			assert.Equal(t, queue, send.attribute("messaging.destination.name"))

			wait := backend.await(t, "relay", "wait OrderPlaced")
			assert.Equal(t, otlp.Span_SPAN_KIND_INTERNAL, wait.Kind)
			assert.Equal(t, creator.ref(), wait.parent())
			assert.Equal(t, []string{send.ref()}, wait.links())
			assert.LessOrEqual(t, wait.StartTimeUnixNano, wait.EndTimeUnixNano)
			assert.GreaterOrEqual(t, wait.StartTimeUnixNano/1000, request.StartTimeUnixNano/1000)

			process := backend.await(t, "consumer", "process "+queue)
			assert.Equal(t, otlp.Span_SPAN_KIND_CONSUMER, process.Kind)
			assert.Equal(t, creator.ref(), process.parent())
			assert.Equal(t, []string{creator.ref()}, process.links())
			assert.Equal(t, "OrderPlaced:1", process.attribute("messaging.message.id"))

			bill := backend.await(t, "consumer", fmt.Sprintf("bill 00-%s-01", creator.ref())) // the header as it came
			assert.Equal(t, process.ref(), bill.parent())
			for _, span := range []received{creator, wait, process, bill} {
				assert.Equal(t, request.TraceId, span.TraceId, "one trace: %s", span.Name)
			}
		})
	}
}
