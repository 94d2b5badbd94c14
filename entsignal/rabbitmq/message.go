package rabbitmq

import (
	"strconv"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// A Message is one message to publish. The zero values of its flags are the safe
// ones: the message is persistent and must be routable.
//
// Every string except Body and header values is at most 255 bytes of UTF-8 without
// NUL. A message that breaks a rule fails with an error for which
// [entsignal.IsPermanent] is true. The other messages are published.
type Message struct {
	Exchange   string // must exist; empty means the default exchange, which routes by queue name
	RoutingKey string

	// MessageID identifies repeats for consumers. If it is empty, [Sender] sets it
	// to "<Signal>:<id>".
	MessageID string

	// Body is sent unchanged, up to the size of [WithMaxBodySize]. Don't change it
	// before Publish has returned.
	Body []byte

	ContentType     string // such as application/json
	ContentEncoding string // such as gzip
	Type            string // the kind of message, such as order.placed
	AppID           string // if empty, the name of [WithAppID] is used
	CorrelationID   string
	ReplyTo         string
	Priority        uint8

	// Expiration is how long the message may stay in a queue; 0 means for ever. It
	// is rounded up to milliseconds. The maximum is 4294967295 ms, about 49 days.
	Expiration time.Duration

	// Timestamp is rounded down to seconds. The zero time means no timestamp. A
	// time before 1970 is an error.
	Timestamp time.Time

	// Headers may contain bool, numbers, string, []byte, [time.Time], nil,
	// amqp.Decimal, and maps and slices of them: map[string]any, map[string]string,
	// []any, []string. An int, uint or uint64 is sent with 32 bits if it fits,
	// otherwise with 64 bits. A number above the largest int64 is an error, and so
	// are more than 8192 values in a map or a slice, and more than 32 of these within
	// each other. The maps are not changed.
	Headers map[string]any

	// AllowUnroutable lets the broker drop the message if it matches no queue. By
	// default the broker returns such a message, which is an error.
	AllowUnroutable bool

	// Transient makes the message faster to send, but a restart of the broker loses
	// it.
	Transient bool
}

// publishing returns the message as amqp091-go sends it.
func (m *Message) publishing(appID string, headers amqp.Table) amqp.Publishing {
	p := amqp.Publishing{
		Headers:         headers,
		ContentType:     m.ContentType,
		ContentEncoding: m.ContentEncoding,
		DeliveryMode:    amqp.Persistent,
		Priority:        m.Priority,
		CorrelationId:   m.CorrelationID,
		ReplyTo:         m.ReplyTo,
		MessageId:       m.MessageID,
		Timestamp:       m.Timestamp,
		Type:            m.Type,
		AppId:           m.AppID,
		Body:            m.Body,
	}
	if m.Transient {
		p.DeliveryMode = amqp.Transient
	}
	if m.AppID == "" {
		p.AppId = appID
	}
	if m.Expiration > 0 {
		p.Expiration = strconv.FormatInt(milliseconds(m.Expiration), 10)
	}
	return p
}

func milliseconds(d time.Duration) int64 {
	ms := d.Milliseconds()
	if d%time.Millisecond != 0 {
		ms++
	}
	return ms
}
