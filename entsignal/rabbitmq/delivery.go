package rabbitmq

import (
	"time"

	"github.com/entsignal/signalbus/entsignal"
	amqp "github.com/rabbitmq/amqp091-go"
)

// A Delivery is a message as a [Consumer] hands it to its handler.
type Delivery struct {
	// AppID and MessageID together identify the message: a repeat has the same. The id
	// alone is unique within one table of one application.
	AppID     string
	MessageID string

	Type    string // the kind of message, such as order.placed
	Headers map[string]any
	Body    []byte

	// Redelivered says that the message was delivered before, to this consumer or
	// another, but perhaps to no handler. It says nothing of repeats: those are messages
	// of their own.
	Redelivered bool

	// Deliveries is how many deliveries of the message count against
	// [WithMaxDeliveries], this one included. A quorum queue counts each (the header
	// x-delivery-count), also those that were lost with a connection or given back
	// when a consumer stopped. A classic queue doesn't count: there the consumer itself
	// remembers, in memory and only for messages with a MessageID, how often its handler
	// failed. Each return from the queue's dead-letter exchange is one more (the header
	// x-death). Errors that [entsignal.IsUnavailable] finds aren't counted as long as
	// the consumer remembers them.
	Deliveries int

	Queue      string // of the consumer
	Exchange   string // to which it was published
	RoutingKey string

	ContentType     string
	ContentEncoding string
	CorrelationID   string
	ReplyTo         string
	UserID          string // checked by the broker, if the publisher has set it
	Priority        uint8
	Timestamp       time.Time // in whole seconds; the zero time if there is none
}

// Key returns what identifies the message, for the inbox of mixin.Inbox.
func (d Delivery) Key() entsignal.MessageKey {
	return entsignal.MessageKey{Source: d.AppID, ID: d.MessageID}
}

func newDelivery(raw *amqp.Delivery, queue string) Delivery {
	return Delivery{
		AppID:           raw.AppId,
		MessageID:       raw.MessageId,
		Type:            raw.Type,
		Headers:         plainMap(raw.Headers),
		Body:            raw.Body,
		Redelivered:     raw.Redelivered,
		Queue:           queue,
		Exchange:        raw.Exchange,
		RoutingKey:      raw.RoutingKey,
		ContentType:     raw.ContentType,
		ContentEncoding: raw.ContentEncoding,
		CorrelationID:   raw.CorrelationId,
		ReplyTo:         raw.ReplyTo,
		UserID:          raw.UserId,
		Priority:        raw.Priority,
		Timestamp:       raw.Timestamp,
	}
}

// plainMap makes maps of the tables of amqp091-go, so that a handler needs not know
// that package.
func plainMap(t amqp.Table) map[string]any {
	m := make(map[string]any, len(t))
	for key, value := range t {
		m[key] = plain(value)
	}
	return m
}

func plain(value any) any {
	switch v := value.(type) {
	case amqp.Table:
		return plainMap(v)
	case []any:
		list := make([]any, len(v))
		for i := range v {
			list[i] = plain(v[i])
		}
		return list
	default:
		return value
	}
}

// deliveryCount says how often a quorum queue has delivered the message before. A classic
// queue doesn't say.
func deliveryCount(headers map[string]any) (n int, known bool) {
	return number(headers["x-delivery-count"])
}

// deaths returns how often the message was dead-lettered from the queue after it had
// been delivered.
func deaths(headers map[string]any, queue string) (n int) {
	all, _ := headers["x-death"].([]any)
	for _, one := range all {
		death, _ := one.(map[string]any)
		if death["queue"] != queue {
			continue
		}
		switch death["reason"] {
		case "rejected", "delivery_limit":
			count, _ := number(death["count"])
			n += count
		}
	}
	return n
}

// number returns a number that the broker has put into a header, or that anybody has.
func number(value any) (n int, ok bool) {
	switch v := value.(type) {
	case int64:
		n = int(v)
	case int32:
		n = int(v)
	case int16:
		n = int(v)
	case uint8:
		n = int(v)
	case int8:
		n = int(v)
	case uint16:
		n = int(v)
	case uint32:
		n = int(v)
	default:
		return 0, false
	}
	return max(n, 0), true
}
