package rabbitmq

import (
	"strconv"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// A Message is what is published. The zero value of its flags is the safe
// one: it is persistent and must be routable.
//
// Every string except Body and header values is at most 255 bytes of UTF-8
// without NUL. A message that breaks a rule fails with an error that
// [entsignal.IsPermanent] finds, and the other messages are published.
type Message struct {
	Exchange   string // must exist; empty is the default exchange, which routes by queue name
	RoutingKey string

	// MessageID is what consumers tell repeats by. [Sender] sets it to
	// "<Signal>:<id>" if it is empty.
	MessageID string

	// Body is sent as it is, up to the size of [WithMaxBodySize]. It must not
	// change until Publish has returned.
	Body []byte

	ContentType     string // such as application/json
	ContentEncoding string // such as gzip
	Type            string // the kind of message, such as order.placed
	AppID           string // empty means the name of [WithAppID]
	CorrelationID   string
	ReplyTo         string
	Priority        uint8

	// Expiration is how long the message may stay in a queue; 0 is for ever.
	// It is rounded up to milliseconds and at most 4294967295 of them, about
	// 49 days.
	Expiration time.Duration

	// Timestamp is rounded down to seconds. The zero time sends none; a time
	// before 1970 is an error.
	Timestamp time.Time

	// Headers may hold bool, numbers, string, []byte, [time.Time], nil,
	// amqp.Decimal, and maps and slices of them: map[string]any,
	// map[string]string, []any, []string. An int, uint or uint64 is sent as 32
	// bits where it fits, else as 64; one above the largest int64 is an error.
	// The maps are not changed.
	Headers map[string]any

	// AllowUnroutable lets the broker drop the message if no queue is bound
	// for it. Otherwise it is returned, which is an error.
	AllowUnroutable bool

	// Transient messages are faster and lost when the broker restarts.
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
