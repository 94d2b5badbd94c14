package main

import (
	"context"
	"errors"
	"fmt"
	"sync"

	amqp "github.com/rabbitmq/amqp091-go"
)

// unsampled is the trace context of most messages.
const unsampled = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"

// rawBroker is the floor of all that sends: amqp091-go alone, publishing one
// body again and again. Each connection has one channel, and on it as many
// messages as the window are without a confirm at most.
func rawBroker(ctx context.Context, j job, m *meter) error {
	body := makeBody(j.Size)
	if err := m.start(); err != nil {
		return err
	}
	var wg sync.WaitGroup
	errs := make([]error, j.Parallel)
	for i := range j.Parallel {
		from, to := i*j.Count/j.Parallel, (i+1)*j.Count/j.Parallel
		wg.Go(func() { errs[i] = rawConnection(ctx, j, body, from, to) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return m.stop(j.Count)
}

func rawConnection(ctx context.Context, j job, body []byte, from, to int) error {
	conn, ch, err := dialConfirmed(j.AMQP)
	if err != nil {
		return err
	}
	defer conn.Close()
	returned := ch.NotifyReturn(make(chan amqp.Return, 1))
	var headers amqp.Table
	if j.ByHand {
		headers = amqp.Table{"traceparent": unsampled}
	}
	open := make([]*amqp.DeferredConfirmation, j.Window)
	wait := func(i int) error {
		if c := open[i%j.Window]; c != nil {
			if ok, err := c.WaitContext(ctx); err != nil || !ok {
				return fmt.Errorf("not confirmed: %w", err)
			}
		}
		return nil
	}
	for i := from; i < to; i++ {
		if err := wait(i); err != nil {
			return err
		}
		if open[i%j.Window], err = publishRaw(ctx, ch, j.Queue, i, body, headers); err != nil {
			return err
		}
	}
	for i := to; i < to+j.Window; i++ {
		if err := wait(i); err != nil {
			return err
		}
	}
	return anyReturned(returned)
}

// dialConfirmed connects to the broker and opens a channel with confirms.
func dialConfirmed(url string) (*amqp.Connection, *amqp.Channel, error) {
	conn, err := amqp.Dial(url)
	if err != nil {
		return nil, nil, err
	}
	ch, err := conn.Channel()
	if err == nil {
		err = ch.Confirm(false)
	}
	if err != nil {
		return nil, nil, errors.Join(err, conn.Close())
	}
	return conn, ch, nil
}

// publishRaw publishes a message as rabbitmq.Sender does: mandatory,
// persistent, with its message id and application, and with these headers.
func publishRaw(ctx context.Context, ch *amqp.Channel, queue string, id int, body []byte, headers amqp.Table) (*amqp.DeferredConfirmation, error) {
	return ch.PublishWithDeferredConfirmWithContext(ctx, "", queue, true, false, amqp.Publishing{
		Headers:      headers,
		DeliveryMode: amqp.Persistent,
		ContentType:  contentType,
		MessageId:    fmt.Sprint("Event:", id),
		AppId:        appID,
		Body:         body,
	})
}

func anyReturned(returned <-chan amqp.Return) error {
	select {
	case r := <-returned:
		return fmt.Errorf("returned: %s", r.ReplyText)
	default:
		return nil
	}
}
