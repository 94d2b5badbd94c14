package rabbitmq

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/entsignal/signalbus/entsignal"
	amqp "github.com/rabbitmq/amqp091-go"
)

// consumerTag names the consumer on its channel, which has no other.
const consumerTag = "entsignal"

var errCancelled = errors.New("the broker has ended the consumer; was the queue deleted?")

// stream is what one channel delivers. The broker knows the deliveries by their channel
// and a number, so they are settled on it and never on a later one.
type stream struct {
	session    *session
	channel    *amqp.Channel
	deliveries <-chan amqp.Delivery
	cancelled  <-chan string
	began      time.Time
	hand       hand
	settled    atomic.Bool // a delivery, successfully

	gone chan struct{} // closed with the channel
	err  *amqp.Error   // why it was closed, once gone is; nil: it was meant
}

// consume opens a stream within ctx and the timeout.
func (s *session) consume(ctx context.Context, queue string, prefetch int) (*stream, error) {
	st := &stream{session: s, gone: make(chan struct{})}
	answered, err := s.ask(ctx, func() error { return st.open(queue, prefetch) }, func(err error) {
		if err == nil {
			st.close()
		}
	})
	switch {
	case !answered:
		return nil, fmt.Errorf("consume: %w", err)
	case err != nil:
		return nil, s.wayError(err)
	}
	st.began = time.Now()
	return st, nil
}

func (st *stream) open(queue string, prefetch int) error {
	ch, err := st.session.conn.Channel()
	if err != nil {
		return err
	}
	st.channel = ch
	// amqp091-go waits for those who don't take its notices, so there is room for them.
	closed := ch.NotifyClose(make(chan *amqp.Error, 1))
	st.cancelled = ch.NotifyCancel(make(chan string, 1))
	st.session.tasks.Go(func() {
		st.err = <-closed
		close(st.gone)
	})
	if err := ch.Qos(prefetch, 0, false); err != nil {
		return err
	}
	st.deliveries, err = ch.Consume(queue, consumerTag, false, false, false, false, nil)
	return err
}

// isGone reports whether nothing can be settled anymore.
func (st *stream) isGone() bool {
	select {
	case <-st.gone:
		return true
	default:
		return false
	}
}

// ended returns why there are no more deliveries.
func (st *stream) ended() error {
	select {
	case _, notice := <-st.cancelled:
		if notice {
			return errCancelled
		}
	default:
	}
	<-st.gone
	if st.err == nil || st.session.dead() {
		return errLost
	}
	return entsignal.Unavailable(&brokerError{st.err})
}

// stop makes the broker deliver nothing more, and gives back what no handler has
// begun: held, and what is on the way.
func (st *stream) stop(held ...amqp.Delivery) {
	answered, err := st.session.ask(context.Background(),
		func() error { return st.channel.Cancel(consumerTag, false) }, func(error) {})
	if !answered || err != nil {
		return // nothing that is unsettled stays with a channel that ends
	}
	for _, d := range held {
		_ = d.Nack(false, true)
	}
	for d := range st.deliveries {
		_ = d.Nack(false, true)
	}
}

// close closes the channel. Its answer says that the broker has taken everything that
// was settled on it.
func (st *stream) close() { _ = st.session.bounded(st.channel.Close) }
