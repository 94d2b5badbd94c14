package docs

import (
	"context"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/entsignal/rabbitmq"
	"github.com/entsignal/signalbus/integration/docs/ent"
	"github.com/entsignal/signalbus/otelsignal"
	"github.com/entsignal/signalbus/otelsignal/otelrabbitmq"
)

// exportTraces sets the SDK up, as in each program.
func exportTraces(ctx context.Context) (shutdown func(context.Context) error, err error) {
	// snippet: otlp
	exporter, err := otlptracehttp.New(ctx) // to OTEL_EXPORTER_OTLP_ENDPOINT
	if err != nil {
		return nil, err
	}
	provider := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter),
		sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.TraceIDRatioBased(0.01)))) // 1 % of the requests
	otel.SetTracerProvider(provider)
	otel.SetTextMapPropagator(propagation.TraceContext{})
	return provider.Shutdown, nil
	// end snippet
}

func instrumented(senders ent.SignalSenders) (*entsignal.Bus, error) {
	// snippet: instrument
	bus, err := ent.NewSignalBus(senders, otelsignal.Instrument())
	// end snippet
	return bus, err
}

func recording() (*entsignal.Bus, error) {
	// snippet: recording
	bus, err := ent.NewSignalBus(ent.SignalSenders{}, entsignal.WithMissingSenders(),
		otelsignal.Instrument(otelsignal.WithoutGauges()))
	// end snippet
	return bus, err
}

func consuming(url, queue string, handle func(context.Context, rabbitmq.Delivery) error) (*rabbitmq.Consumer, error) {
	// snippet: otelconsume
	consumer, err := rabbitmq.NewConsumer(url, queue, handle, rabbitmq.WithMiddleware(otelrabbitmq.Middleware()))
	// end snippet
	return consumer, err
}

// topic is a client of another message bus.
type topic interface {
	Produce(ctx context.Context, key string, headers map[string]string) error
}

// sendElsewhere is a sender for it.
func sendElsewhere(to topic) entsignal.Sender[*ent.ShipmentDue] {
	// snippet: tracedsender
	return entsignal.Each(func(ctx context.Context, s *ent.ShipmentDue) error {
		entsignal.SendingTo(ctx, entsignal.Destination{System: "kafka", Name: "shipments"}) // for the span
		batch, _ := entsignal.BatchFromContext(ctx)
		headers := map[string]string{}
		if trace := batch.Items[0].Trace; trace.Traceparent != "" {
			headers["traceparent"], headers["tracestate"] = trace.Traceparent, trace.Tracestate
		}
		return to.Produce(ctx, s.Customer, headers)
	})
	// end snippet
}
