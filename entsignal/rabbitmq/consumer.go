package rabbitmq

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
)

// A Consumer takes the messages of one queue and calls a handler for each. It is made
// by [NewConsumer].
type Consumer struct {
	cfg     *consumerConfig
	broker  broker
	queue   string
	handle  Handler // with its middleware
	running atomic.Bool
}

// NewConsumer returns a consumer of a queue of the broker at url, which is as for
// [NewPublisher]. It doesn't connect; [Consumer.Run] does. It returns an error if the
// URL, the queue's name or an option can't be used; no error and no log record
// contains the URL or the password.
//
// handle is called once for each delivery, in a goroutine of its own, for as many
// deliveries at once as [WithWorkers] allows. What it returns decides what becomes of
// the message:
//
//   - nil: the message is acknowledged, and the queue forgets it. Return nil only when
//     the work is committed.
//   - an error that [entsignal.IsPermanent] finds: the message is rejected. The broker
//     moves it to the dead-letter exchange of the queue, and drops it if the queue has
//     none.
//   - an error that [entsignal.IsUnavailable] finds: the message goes back to the queue
//     after a pause, however often; see [WithRedeliveryPause].
//   - any other error, and a panic: the message goes back to the queue after a pause, or
//     is rejected if it was delivered too often; see [WithMaxDeliveries].
//
// The handler's context has the values of the context of Run, but doesn't end with it;
// see [WithHandlerTimeout] and [WithStopTimeout]. It doesn't end with the connection
// either: the handler may finish its work, and the message comes again.
func NewConsumer(url, queue string, handle func(ctx context.Context, d Delivery) error, opts ...ConsumerOption) (*Consumer, error) {
	cfg, err := newConsumerConfig(opts)
	if err != nil {
		return nil, err
	}
	if queue == "" {
		return nil, errors.New("rabbitmq: NewConsumer: the name of the queue is empty")
	}
	if err := checkShort(queue); err != nil {
		return nil, fmt.Errorf("rabbitmq: NewConsumer: the name of the queue: %w", err)
	}
	if handle == nil {
		return nil, errors.New("rabbitmq: NewConsumer: the handler is nil")
	}
	wrapped, err := cfg.wrap(handle)
	if err != nil {
		return nil, err
	}
	b, err := newBroker(&cfg.connectionConfig, url)
	if err != nil {
		return nil, err
	}
	return &Consumer{cfg: cfg, broker: b, queue: queue, handle: wrapped}, nil
}

// Run consumes until ctx ends. It never returns because of the broker: while that
// can't be reached, refuses the consumer or has no such queue, Run tries again, with
// pauses from 0.1 s up to 10 s, and logs what is wrong (see [WithLogger]).
//
// When ctx ends, Run takes no further delivery, gives those that no handler has begun
// back to the queue, waits for the handlers in the time of [WithStopTimeout], settles
// their messages, closes the connection and returns nil. If a handler doesn't return in
// that time, Run returns an error that says how many there are; their messages are
// delivered again.
//
// A consumer runs once at a time: a second call returns an error. It may run again
// later.
//
// A message may be delivered more than once even if its handler returned nil: the
// acknowledgement is lost if the connection or the process ends before it arrives.
func (c *Consumer) Run(ctx context.Context) error {
	if !c.running.CompareAndSwap(false, true) {
		return fmt.Errorf("rabbitmq: the consumer of %s is already running", quote(c.queue, 80))
	}
	defer c.running.Store(false)
	return newRun(ctx, c).serve(ctx)
}
