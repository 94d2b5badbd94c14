package rabbitmq

import (
	"context"
	"fmt"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/internal/testlog"
)

type handler = func(context.Context, Delivery) error

// consumption is a consumer that runs.
type consumption struct {
	t      *testing.T
	log    testlog.Log
	cancel context.CancelFunc
	result chan error
}

// consume runs a consumer until the end of the test. What fails is delivered again
// quickly, unless opts say otherwise.
func consume(t *testing.T, url, queue string, handle handler, opts ...ConsumerOption) *consumption {
	t.Helper()
	c := &consumption{t: t, result: make(chan error, 1)}
	opts = append([]ConsumerOption{
		WithLogger(c.log.Logger()),
		WithRedeliveryPause(time.Millisecond, 20*time.Millisecond),
		WithStopTimeout(hang),
	}, opts...)
	consumer, err := NewConsumer(url, queue, handle, opts...)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	c.cancel = cancel
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.result <- consumer.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return c
}

// stop ends the consumer and returns what Run does.
func (c *consumption) stop() error {
	c.t.Helper()
	c.cancel()
	return inTime(c.t, c.result)
}

// next returns what a channel has next. It fails the test if nothing comes.
func next[T any](t *testing.T, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(hang):
		require.FailNow(t, "nothing came")
		panic("unreachable")
	}
}

// kinds are the kinds of queues that count deliveries in different ways.
func kinds(t *testing.T, test func(t *testing.T, kind string)) {
	for _, kind := range []string{"classic", "quorum"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			test(t, kind)
		})
	}
}

// shared declares a queue that other connections may consume from.
func (a *admin) shared(kind string, args amqp.Table) string {
	a.t.Helper()
	name := unique(kind)
	a.declare(name, kind, args)
	a.t.Cleanup(func() { _, _ = a.QueueDelete(name, false, false, false) })
	return name
}

func (a *admin) declare(name, kind string, args amqp.Table) {
	a.t.Helper()
	all := amqp.Table{"x-queue-type": kind}
	for k, v := range args {
		all[k] = v
	}
	_, err := a.QueueDeclare(name, true, false, false, false, all)
	require.NoError(a.t, err)
}

// withGraveyard declares a queue, and the queue behind its dead-letter exchange.
func (a *admin) withGraveyard(kind string, args amqp.Table) (queue, dead string) {
	a.t.Helper()
	exchange, dead := unique("dlx"), a.queue(nil)
	require.NoError(a.t, a.ExchangeDeclare(exchange, "fanout", false, false, false, false, nil))
	a.t.Cleanup(func() { _ = a.ExchangeDelete(exchange, false, false) })
	require.NoError(a.t, a.QueueBind(dead, "", exchange, false, nil))
	all := amqp.Table{"x-dead-letter-exchange": exchange}
	for k, v := range args {
		all[k] = v
	}
	return a.shared(kind, all), dead
}

// put publishes messages with these ids.
func (a *admin) put(queue string, ids ...string) {
	a.t.Helper()
	msgs := make([]Message, len(ids))
	for i, id := range ids {
		msgs[i] = to(queue, id)
	}
	require.NoError(a.t, newPublisher(a.t, brokerURL(a.t), WithAppID("shop")).Publish(a.t.Context(), msgs...))
}

// ready returns how many messages of a queue nobody holds.
func (a *admin) ready(queue string) int {
	a.t.Helper()
	q, err := a.QueueDeclarePassive(queue, true, false, false, false, nil)
	require.NoError(a.t, err)
	return q.Messages
}

func (a *admin) awaitReady(queue string, n int) {
	a.t.Helper()
	require.Eventually(a.t, func() bool { return a.ready(queue) == n }, hang, 5*time.Millisecond)
}

func numbered(kind string, n int) (ids []string) {
	for i := range n {
		ids = append(ids, fmt.Sprintf("%s-%03d", kind, i))
	}
	return ids
}
