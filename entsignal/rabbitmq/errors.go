package rabbitmq

import (
	"errors"
	"fmt"
	"strconv"
	"unicode/utf8"

	"github.com/entsignal/signalbus/entsignal"
	amqp "github.com/rabbitmq/amqp091-go"
)

// ErrClosed is the error of each message that is passed to [Publisher.Publish]
// after [Publisher.Close].
var ErrClosed = errors.New("rabbitmq: the publisher is closed")

// errNoConfirm is the error of each message until it is confirmed.
var errNoConfirm = errors.New("rabbitmq: no confirm")

// errNotTried marks messages that were not published because of an earlier failure.
var errNotTried = entsignal.ErrNotTried

var (
	errLost        = entsignal.Unavailable(errors.New("connection lost"))
	errLostConfirm = entsignal.Unavailable(errors.New("connection lost before the confirm; may have been stored"))
	errNack        = errors.New("refused by the broker (nack)")
	errNoAnswer    = errors.New("no answer from the broker in time")
	errUnmatched   = errors.New("an unknown message was returned; may have been stored")
)

// messageError is the error of one message.
type messageError struct {
	id  string
	pos int
	err error
}

func (e *messageError) Error() string {
	if e.id == "" {
		return fmt.Sprintf("rabbitmq: message %d without an id: %v", e.pos+1, e.err)
	}
	return fmt.Sprintf("rabbitmq: message %s: %v", quote(e.id, 80), e.err)
}

func (e *messageError) Unwrap() error { return e.err }

// brokerError shows an error text of the broker in a form that is safe to log.
type brokerError struct{ err *amqp.Error }

func (e *brokerError) Error() string {
	return fmt.Sprintf("%s (code %d)", quote(e.err.Reason, maxQuoted), e.err.Code)
}

func (e *brokerError) Unwrap() error { return e.err }

// wrapBroker makes an error of amqp091-go safe to log. Errors that don't come from
// the broker come from the network, and contain only addresses.
func wrapBroker(err error) error {
	var amqpErr *amqp.Error
	if errors.As(err, &amqpErr) {
		return &brokerError{amqpErr}
	}
	return err
}

func code(err error) int {
	var amqpErr *amqp.Error
	if errors.As(err, &amqpErr) {
		return amqpErr.Code
	}
	return 0
}

// maxQuoted is how many bytes of a foreign text an error shows.
const maxQuoted = 200

// quote cuts s to limit bytes and quotes it, so that it can't forge log lines.
func quote(s string, limit int) string {
	if len(s) <= limit {
		return strconv.Quote(s)
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return strconv.Quote(s[:limit]) + "…"
}
