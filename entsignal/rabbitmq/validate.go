package rabbitmq

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"unicode/utf8"

	"github.com/entsignal/signalbus/entsignal"
	amqp "github.com/rabbitmq/amqp091-go"
)

// maxShort is the maximum length of short strings in the protocol. With a longer
// one amqp091-go would end the connection, which other calls use too.
const maxShort = 255

// validate returns the headers as they are sent, and their encoded size. Its errors
// are permanent and name the field.
func (m *Message) validate(maxBody, maxHeader int) (amqp.Table, int, error) {
	fields := [...]struct{ name, value string }{
		{"Exchange", m.Exchange},
		{"RoutingKey", m.RoutingKey},
		{"MessageID", m.MessageID},
		{"ContentType", m.ContentType},
		{"ContentEncoding", m.ContentEncoding},
		{"Type", m.Type},
		{"AppID", m.AppID},
		{"CorrelationID", m.CorrelationID},
		{"ReplyTo", m.ReplyTo},
	}
	for i := range fields {
		if err := checkShort(fields[i].value); err != nil {
			return invalid(fields[i].name, err)
		}
	}
	if len(m.Body) > maxBody {
		return invalid("Body", tooLong(len(m.Body), maxBody))
	}
	if m.Expiration < 0 || milliseconds(m.Expiration) > math.MaxUint32 {
		return invalid("Expiration", fmt.Errorf("%s is not between 0 and %d ms", m.Expiration, uint32(math.MaxUint32)))
	}
	if !m.Timestamp.IsZero() && m.Timestamp.Unix() < 0 {
		return invalid("Timestamp", errors.New("before 1970"))
	}
	if len(m.Headers) == 0 {
		return nil, 0, nil
	}
	headers, size, err := convertHeaders(m.Headers)
	if err != nil {
		return invalid("Headers", err)
	}
	if size > maxHeader {
		return invalid("Headers", tooLong(size, maxHeader))
	}
	return headers, size, nil
}

func invalid(field string, err error) (amqp.Table, int, error) {
	return nil, 0, entsignal.Permanent(fmt.Errorf("%s: %w", field, err))
}

func tooLong(n, limit int) error { return fmt.Errorf("%d bytes, at most %d allowed", n, limit) }

func checkShort(s string) error {
	switch {
	case len(s) > maxShort:
		return tooLong(len(s), maxShort)
	case !utf8.ValidString(s):
		return errors.New("not valid UTF-8")
	case strings.IndexByte(s, 0) >= 0:
		return errors.New("contains a NUL byte")
	}
	return nil
}
