package faults

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/entsignal/rabbitmq"
	"github.com/entsignal/signalbus/internal/testlog"
)

// atBroker does something at the own broker.
func atBroker(t *testing.T, do func(ch *amqp.Channel) error) {
	t.Helper()
	conn, err := amqp.Dial(own.AMQP)
	require.NoError(t, err)
	defer conn.Close()
	ch, err := conn.Channel()
	require.NoError(t, err)
	require.NoError(t, do(ch))
}

// newQueue declares a durable queue whose rejected messages go to another one, and
// fills it with n messages.
func newQueue(t *testing.T, kind string, n int) (queue, dead string) {
	t.Helper()
	queue = "consumed-" + uuid.NewString()
	dead = queue + ".dead"
	atBroker(t, func(ch *amqp.Channel) error {
		if _, err := ch.QueueDeclare(dead, true, false, false, false, nil); err != nil {
			return err
		}
		_, err := ch.QueueDeclare(queue, true, false, false, false, amqp.Table{
			"x-queue-type": kind, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": dead,
		})
		return err
	})
	pub, err := rabbitmq.NewPublisher(own.AMQP)
	require.NoError(t, err)
	defer func() { require.NoError(t, pub.Close(ctx(t))) }()
	msgs := make([]rabbitmq.Message, n)
	for i := range msgs {
		msgs[i] = rabbitmq.Message{RoutingKey: queue, MessageID: fmt.Sprint(i)}
	}
	require.NoError(t, pub.Publish(ctx(t), msgs...))
	return queue, dead
}

// awaitMessages waits until a queue has so many messages that nobody holds.
func awaitMessages(t *testing.T, queue string, n int) {
	t.Helper()
	require.Eventually(t, func() (equal bool) {
		atBroker(t, func(ch *amqp.Channel) error {
			q, err := ch.QueueDeclarePassive(queue, true, false, false, false, nil)
			equal = q.Messages == n
			return err
		})
		return equal
	}, 2*time.Minute, 100*time.Millisecond)
}

// consume runs a consumer, which stop ends.
func consume(t *testing.T, url, queue string, handle func(context.Context, rabbitmq.Delivery) error, opts ...rabbitmq.ConsumerOption) (log *testlog.Log, stop func() error) {
	t.Helper()
	log = &testlog.Log{}
	c, err := rabbitmq.NewConsumer(url, queue, handle, append(opts, rabbitmq.WithLogger(log.Logger()))...)
	require.NoError(t, err)
	running, cancel := context.WithCancel(t.Context())
	result := make(chan error, 1)
	go func() { result <- c.Run(running) }()
	stop = sync.OnceValue(func() error {
		cancel()
		return <-result
	})
	t.Cleanup(func() { _ = stop() })
	return log, stop
}

// A quorum queue of one node that was declared just before a crash may never answer
// again, so its broker is stopped in order.
func TestBrokerThatEndsInTheMiddleOfABatchLosesNothing(t *testing.T) {
	for kind, end := range map[string]func(string) error{"classic": own.Kill, "quorum": own.Down} {
		t.Run(kind, func(t *testing.T) {
			const all, before = 300, 60
			queue, dead := newQueue(t, kind, all)
			var mu sync.Mutex
			seen := map[string]bool{}
			begun, ended, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
			log, stop := consume(t, own.AMQP, queue, func(_ context.Context, d rabbitmq.Delivery) error {
				mu.Lock()
				first := !seen[d.MessageID]
				seen[d.MessageID] = true
				n := len(seen)
				mu.Unlock()
				if first && n == before {
					close(begun)
				}
				if first && n == all {
					close(done)
				}
				if n >= before {
					<-ended // some are in hand, and others acknowledged just now
				}
				return nil
			})
			<-begun
			require.NoError(t, end("rabbitmq"))
			close(ended)
			require.NoError(t, own.Up("rabbitmq"))
			select {
			case <-done:
			case <-time.After(2 * time.Minute):
				require.FailNow(t, "messages are missing", log.String())
			}
			require.NoError(t, stop())
			awaitMessages(t, queue, 0)
			awaitMessages(t, dead, 0)
		})
	}
}

func TestConsumerNeedsOnlyTheRightToReadItsQueue(t *testing.T) {
	queue, dead := newQueue(t, "classic", 2)
	other, _ := newQueue(t, "classic", 1)
	user, password := "consumer-"+uuid.NewString(), uuid.NewString()
	_, err := own.RabbitMQCtl("add_user", user, password)
	require.NoError(t, err)
	_, err = own.RabbitMQCtl("set_permissions", "--vhost", "/", user, "^$", "^$", "^"+queue+"$")
	require.NoError(t, err)
	u, err := url.Parse(own.AMQP)
	require.NoError(t, err)
	u.User = url.UserPassword(user, password)

	handled := make(chan string, 10)
	_, stop := consume(t, u.String(), queue, func(_ context.Context, d rabbitmq.Delivery) error {
		handled <- d.MessageID
		if d.MessageID == "1" {
			return entsignal.Permanent(errors.New("unreadable"))
		}
		return nil
	})
	awaitMessages(t, dead, 1)
	<-handled
	<-handled
	require.NoError(t, stop())
	awaitMessages(t, queue, 0)

	log, stop := consume(t, u.String(), other, func(context.Context, rabbitmq.Delivery) error { return nil })
	require.Eventually(t, func() bool { return log.Count("ACCESS_REFUSED") > 0 }, 2*time.Minute, 10*time.Millisecond)
	require.NoError(t, stop())
	awaitMessages(t, other, 1)
	assert.NotContains(t, log.String(), password)
}
