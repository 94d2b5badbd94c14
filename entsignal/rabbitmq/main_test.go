package rabbitmq

import (
	"context"
	"crypto/rand"
	"errors"
	"os"
	"testing"
	"time"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/internal/faultproxy"
	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// hang is what only a call that hangs reaches.
const hang = 2 * time.Minute

// brokerURL fails the test if no broker is named: a skipped test proves
// nothing.
func brokerURL(t testing.TB) string {
	t.Helper()
	url := os.Getenv("ENTSIGNAL_TEST_AMQP")
	require.NotEmpty(t, url, "set ENTSIGNAL_TEST_AMQP to the URL of a RabbitMQ, such as amqp://guest:guest@127.0.0.1:5672/")
	return url
}

// newProxy returns a proxy to the broker, and the URL of the broker behind it.
func newProxy(t *testing.T) (*faultproxy.Proxy, string) {
	t.Helper()
	return faultproxy.ForURL(t, brokerURL(t), "5672")
}

// admin is a connection of the test's own, to look at the broker from outside.
type admin struct {
	t    testing.TB
	conn *amqp.Connection
	*amqp.Channel
}

func newAdmin(t testing.TB) *admin {
	t.Helper()
	conn, err := amqp.Dial(brokerURL(t))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	ch, err := conn.Channel()
	require.NoError(t, err)
	return &admin{t: t, conn: conn, Channel: ch}
}

// queue declares a queue that goes away with the test.
func (a *admin) queue(args amqp.Table) string {
	a.t.Helper()
	name := unique("queue")
	_, err := a.QueueDeclare(name, false, false, true, false, args)
	require.NoError(a.t, err)
	return name
}

// exchange declares a direct exchange with a queue bound by key "k".
func (a *admin) exchange(internal bool) (exchange, queue string) {
	a.t.Helper()
	exchange, queue = unique("exchange"), a.queue(nil)
	require.NoError(a.t, a.ExchangeDeclare(exchange, "direct", false, false, internal, false, nil))
	a.t.Cleanup(func() { _ = a.ExchangeDelete(exchange, false, false) })
	require.NoError(a.t, a.QueueBind(queue, "k", exchange, false, nil))
	return exchange, queue
}

// take empties a queue.
func (a *admin) take(queue string) (got []amqp.Delivery) {
	a.t.Helper()
	for {
		d, ok, err := a.Get(queue, true)
		require.NoError(a.t, err)
		if !ok {
			return got
		}
		got = append(got, d)
	}
}

func (a *admin) takeIDs(queue string) (ids []string) {
	a.t.Helper()
	for _, d := range a.take(queue) {
		ids = append(ids, d.MessageId)
	}
	return ids
}

// awaitCount waits until the broker has n messages in the queue.
func (a *admin) awaitCount(queue string, n int) {
	a.t.Helper()
	require.Eventually(a.t, func() bool {
		q, err := a.QueueDeclarePassive(queue, false, false, true, false, nil)
		return err == nil && q.Messages >= n
	}, hang, 5*time.Millisecond)
}

func newPublisher(t testing.TB, url string, opts ...Option) *Publisher {
	t.Helper()
	p, err := NewPublisher(url, opts...)
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), hang)
		defer cancel()
		_ = p.Close(ctx)
	})
	return p
}

func unique(kind string) string { return "entsignal-test-" + kind + "-" + rand.Text()[:10] }

// to returns a message for a queue.
func to(queue, id string) Message {
	return Message{RoutingKey: queue, MessageID: id, Body: []byte("body of " + id)}
}

// failures returns the positional errors of Publish.
func failures(t *testing.T, err error, n int) []error {
	t.Helper()
	var batch *entsignal.BatchError
	require.True(t, errors.As(err, &batch), "want a BatchError, got %v", err)
	require.Len(t, batch.Errors, n)
	return batch.Errors
}
