// Package otelrabbitmq traces and measures the consumers of package rabbitmq with
// OpenTelemetry. It is apart from otelsignal, so that a program that consumes nothing
// from RabbitMQ links no AMQP client.
package otelrabbitmq

import (
	"context"

	"github.com/entsignal/signalbus/entsignal/rabbitmq"
	"github.com/entsignal/signalbus/otelsignal"
)

// Middleware returns what makes a span and the metrics of each delivery of a consumer:
//
//	rabbitmq.NewConsumer(url, "orders", handle, rabbitmq.WithMiddleware(otelrabbitmq.Middleware()))
//
// The span continues the trace of the message, is in the context of the handler, and has
// the handler's error. Make it the outermost middleware, so that the others run within
// the span.
func Middleware(opts ...otelsignal.Option) func(next rabbitmq.Handler) rabbitmq.Handler {
	receiver := otelsignal.NewReceiver(opts...)
	return func(next rabbitmq.Handler) rabbitmq.Handler {
		return func(ctx context.Context, d rabbitmq.Delivery) error {
			return receiver.Handle(ctx, otelsignal.Incoming{
				System:     "rabbitmq",
				Exchange:   d.Exchange,
				RoutingKey: d.RoutingKey,
				Queue:      d.Queue,
				MessageID:  d.MessageID,
				Headers:    headers(d.Headers),
			}, func(ctx context.Context) error { return next(ctx, d) })
		}
	}
}

// headers reads the headers of a delivery.
type headers map[string]any

// Get implements propagation.TextMapCarrier.
func (h headers) Get(key string) string {
	switch v := h[key].(type) {
	case string:
		return v
	case []byte:
		return string(v)
	default:
		return ""
	}
}

// Set implements propagation.TextMapCarrier.
func (h headers) Set(key, value string) { h[key] = value }

// Keys implements propagation.TextMapCarrier.
func (h headers) Keys() []string {
	keys := make([]string, 0, len(h))
	for key := range h {
		keys = append(keys, key)
	}
	return keys
}
