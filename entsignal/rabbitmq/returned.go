package rabbitmq

import (
	"bytes"
	"fmt"

	amqp "github.com/rabbitmq/amqp091-go"
)

// returned are the messages of a window that came back as unroutable.
type returned []returnedMessage

type returnedMessage struct {
	amqp.Return
	matched bool
}

// drain takes the messages returned so far.
func (ch *channel) drain() (back returned) {
	for {
		select {
		case r, ok := <-ch.returns:
			if !ok {
				return back
			}
			back = append(back, returnedMessage{Return: r})
		default:
			return back
		}
	}
}

// match returns the return of m, or nil. If one of several identical messages is
// returned, all of them count as returned: sending a message twice is better than
// losing it.
func (back returned) match(m *Message) (found *returnedMessage) {
	if m.AllowUnroutable {
		return nil
	}
	for i := range back {
		r := &back[i]
		if r.MessageId == m.MessageID && r.RoutingKey == m.RoutingKey && r.Exchange == m.Exchange &&
			bytes.Equal(r.Body, m.Body) {
			r.matched, found = true, r
		}
	}
	return found
}

func (back returned) unmatched() bool {
	for i := range back {
		if !back[i].matched {
			return true
		}
	}
	return false
}

func (r *returnedMessage) error() error {
	return fmt.Errorf("returned as unroutable: %s (code %d), exchange %s, routing key %s",
		quote(r.ReplyText, maxQuoted), r.ReplyCode, quote(r.Exchange, maxQuoted), quote(r.RoutingKey, maxQuoted))
}
