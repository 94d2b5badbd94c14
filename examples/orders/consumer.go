package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// consume prints the orders that arrive, until ctx ends.
func consume(ctx context.Context, log *slog.Logger, stdout io.Writer) error {
	c := &consumer{
		log: log,
		handle: func(m orderPlaced) error {
			_, err := fmt.Fprintf(stdout, "order %d of %s: %d.%02d\n", m.OrderID, m.Customer, m.Cents/100, m.Cents%100)
			return err
		},
		repeated: func(d amqp.Delivery) {
			fmt.Fprintf(stdout, "dropped a repeat of %s\n", d.MessageId)
		},
		seen: make(map[message]bool),
	}
	return c.run(ctx)
}

// consumer receives each message once, although the bus and the broker deliver
// it at least once.
type consumer struct {
	log      *slog.Logger
	handle   func(orderPlaced) error // an error ends the consumer, and the message stays in the queue
	repeated func(amqp.Delivery)

	// seen are the messages that were handled. A real consumer keeps them in
	// its database and writes them in the transaction in which it does its
	// work; in memory they are forgotten with the process.
	seen map[message]bool
}

// message identifies a message. Its id alone is not enough: another
// application may use the same.
type message struct{ appID, id string }

const (
	reconnectPause = 200 * time.Millisecond
	prefetch       = 100
)

// run receives until ctx ends. It connects again when the connection is lost,
// and gives up when that can't help.
func (c *consumer) run(ctx context.Context) error {
	for {
		err := c.receive(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case hopeless(err):
			return err
		}
		c.log.Warn("connecting again", "error", err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(reconnectPause):
		}
	}
}

// hopeless reports whether the operator has to do something first.
func hopeless(err error) bool {
	var refused *amqp.Error
	if errors.As(err, &refused) {
		switch refused.Code {
		case amqp.NotFound, amqp.AccessRefused, amqp.NotAllowed:
			return true
		}
	}
	return errors.Is(err, errBadURL) || errors.Is(err, errNotSet) || errors.Is(err, errNotHandled)
}

// receive handles messages over one connection until it ends.
func (c *consumer) receive(ctx context.Context) error {
	conn, err := dial(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	closed := conn.NotifyClose(make(chan *amqp.Error, 1))
	ch, err := conn.Channel()
	if err != nil {
		return err
	}
	if err := ch.Qos(prefetch, 0, false); err != nil {
		return err
	}
	const autoAck, exclusive, noLocal, noWait = false, false, false, false
	deliveries, err := ch.Consume(queue, "", autoAck, exclusive, noLocal, noWait, nil)
	if err != nil {
		return fmt.Errorf("consume (did you run setup?): %w", err)
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case d, ok := <-deliveries:
			if !ok {
				select {
				case err := <-closed:
					return fmt.Errorf("connection lost: %w", err)
				default:
					return errors.New("the queue is gone")
				}
			}
			if err := c.take(d); err != nil {
				return err
			}
		}
	}
}

var errNotHandled = errors.New("not handled")

// take handles one message. The acknowledgement comes last: if it is lost the
// message comes again, and is dropped.
func (c *consumer) take(d amqp.Delivery) error {
	key := message{d.AppId, d.MessageId}
	if d.MessageId != "" && c.seen[key] { // without an id nothing tells it from another
		c.repeated(d)
		return d.Ack(false)
	}
	var m orderPlaced
	if err := json.Unmarshal(d.Body, &m); err != nil {
		c.log.Error("rejected a message that can't be read", "id", d.MessageId, "error", err)
		return d.Reject(false) // coming again it would be no better
	}
	if err := c.handle(m); err != nil {
		return fmt.Errorf("message %q: %w: %w", d.MessageId, errNotHandled, err)
	}
	c.seen[key] = true
	return d.Ack(false)
}
