package main

import (
	"context"
	"errors"
	"sync"

	amqp "github.com/rabbitmq/amqp091-go"
)

// publisher publishes one message at a time and waits for its confirm, for peers that
// leave that to their user. Many callers may do so at once; they share a channel.
type publisher struct {
	conn *amqp.Connection
	mu   sync.Mutex
	ch   *amqp.Channel
}

func newPublisher(url string) (*publisher, error) {
	conn, err := amqp.Dial(url)
	if err != nil {
		return nil, err
	}
	ch, err := conn.Channel()
	if err == nil {
		err = ch.Confirm(false)
	}
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return &publisher{conn: conn, ch: ch}, nil
}

// start publishes a message; its confirm is to be waited for.
func (p *publisher) start(ctx context.Context, queue string, body []byte) (*amqp.DeferredConfirmation, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ch.PublishWithDeferredConfirmWithContext(ctx, "", queue, false, false, amqp.Publishing{DeliveryMode: amqp.Persistent, Body: body})
}

// publish returns nil when the broker has stored the message.
func (p *publisher) publish(ctx context.Context, queue string, body []byte) error {
	confirm, err := p.start(ctx, queue, body)
	if err != nil {
		return err
	}
	return confirmed(ctx, confirm)
}

func confirmed(ctx context.Context, confirm *amqp.DeferredConfirmation) error {
	ok, err := confirm.WaitContext(ctx)
	if err == nil && !ok {
		err = errors.New("the broker refused a message")
	}
	return err
}

func (p *publisher) close() error { return p.conn.Close() }

// rawBroker is the ceiling: no database, and 500 messages without a confirm at most.
func rawBroker() peer {
	const window = 500
	return peer{
		name:   "raw broker, window 500",
		record: func(context.Context, *place) error { return nil },
		send: func(ctx context.Context, p *place) (err error) {
			pub, err := newPublisher(p.amqp)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, pub.close()) }()
			var open [window]*amqp.DeferredConfirmation
			body := p.body()
			for i := range p.count + window {
				if confirm := open[i%window]; confirm != nil {
					if err := confirmed(ctx, confirm); err != nil {
						return err
					}
					open[i%window] = nil
				}
				if i < p.count {
					if open[i%window], err = pub.start(ctx, p.queue, body); err != nil {
						return err
					}
				}
			}
			return nil
		},
	}
}
