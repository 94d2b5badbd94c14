package otelsignal

import (
	"go.opentelemetry.io/otel/attribute"

	"github.com/entsignal/signalbus/entsignal"
)

// The attributes of the semantic conventions for messaging, version 1.44.
const (
	keySystem        = attribute.Key("messaging.system")
	keyOperation     = attribute.Key("messaging.operation.name")
	keyOperationType = attribute.Key("messaging.operation.type")
	keyDestination   = attribute.Key("messaging.destination.name")
	keyMessageID     = attribute.Key("messaging.message.id")
	keyBatchCount    = attribute.Key("messaging.batch.message_count")
	keyRoutingKey    = attribute.Key("messaging.rabbitmq.destination.routing_key")
	keyAddress       = attribute.Key("server.address")
	keyPort          = attribute.Key("server.port")
	keyErrorType     = attribute.Key("error.type")
)

// The attributes of the bus: in spans, and in its metrics.
const (
	keySpanSignal = attribute.Key("entsignal.signal")
	keySpanMode   = attribute.Key("entsignal.mode")
	keySignal     = attribute.Key("signal")
	keyMode       = attribute.Key("mode")
)

const rabbitMQ = "rabbitmq"

// modes are all modes of a bus.
var modes = []entsignal.Mode{
	entsignal.ModeAutoFlush, entsignal.ModeFlush, entsignal.ModeFlushMany, entsignal.ModeFlushOrdered, entsignal.ModeSend,
}

// fullName returns the name of a destination: the exchange, the routing key and the
// queue, as far as there are any.
func fullName(parts ...string) string {
	name, last := "", ""
	for _, part := range parts {
		if part == "" || part == last { // a queue that is bound by its name is named once
			continue
		}
		if name != "" {
			name += ":"
		}
		name, last = name+part, part
	}
	return name
}

// brokerAttributes returns what is the same for all messages to one server.
func brokerAttributes(system, address string, port int) []attribute.KeyValue {
	all := []attribute.KeyValue{keySystem.String(system)}
	if address != "" {
		all = append(all, keyAddress.String(address))
		if port != 0 {
			all = append(all, keyPort.Int(port))
		}
	}
	return all
}
