package docs

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"log/slog"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/entsignal/rabbitmq"
	"github.com/entsignal/signalbus/integration/internal/testdb"
)

// order is what a message of an order tells.
type order struct {
	OrderID  int    `json:"order_id"`
	Customer string `json:"customer"`
}

// bookOrders consumes orders.
func bookOrders(ctx context.Context, url, queue string, book func(context.Context, order) error, logger *slog.Logger) error {
	// snippet: consume
	consumer, err := rabbitmq.NewConsumer(url, queue, func(ctx context.Context, d rabbitmq.Delivery) error {
		var placed order
		if err := json.Unmarshal(d.Body, &placed); err != nil {
			return entsignal.Permanent(err) // delivering it again can't help
		}
		return book(ctx, placed) // returns nil when its work is committed
	}, rabbitmq.WithPrefetch(50), rabbitmq.WithWorkers(10), rabbitmq.WithLogger(logger))
	if err != nil {
		return err
	}
	return consumer.Run(ctx) // until ctx ends
	// end snippet
}

// snippet: deadletter

// declare makes a queue, and the queue for what was rejected.
func declare(ch *amqp.Channel, queue string) error {
	dead := queue + ".dead"
	args := amqp.Table{
		"x-queue-type":              "quorum",
		"x-delivery-limit":          100, // of the broker; the consumer's own is 20
		"x-dead-letter-exchange":    "",  // the default exchange, which routes by the name of the queue
		"x-dead-letter-routing-key": dead,
	}
	if _, err := ch.QueueDeclare(dead, true, false, false, false, amqp.Table{"x-queue-type": "quorum"}); err != nil {
		return err
	}
	_, err := ch.QueueDeclare(queue, true, false, false, false, args)
	return err
}

// end snippet

func TestConsumerOfTheDocumentation(t *testing.T) {
	url := testdb.Env(t, "ENTSIGNAL_TEST_AMQP")
	conn, err := amqp.Dial(url)
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	ch, err := conn.Channel()
	require.NoError(t, err)
	queue := "entsignal-test-docs-" + rand.Text()[:10]
	require.NoError(t, declare(ch, queue))
	t.Cleanup(func() {
		for _, name := range []string{queue, queue + ".dead"} {
			_, _ = ch.QueueDelete(name, false, false, false)
		}
	})
	pub, err := rabbitmq.NewPublisher(url)
	require.NoError(t, err)
	t.Cleanup(func() { _ = pub.Close(context.Background()) })
	require.NoError(t, pub.Publish(ctx(t),
		rabbitmq.Message{RoutingKey: queue, Body: []byte("not JSON")},
		rabbitmq.Message{RoutingKey: queue, Body: []byte(`{"order_id": 1, "customer": "Ada"}`)},
	))

	running, stop := context.WithCancel(t.Context())
	defer stop()
	booked, ended := make(chan order, 10), make(chan error, 1)
	go func() {
		ended <- bookOrders(running, url, queue, func(_ context.Context, o order) error {
			booked <- o
			return nil
		}, slog.New(slog.DiscardHandler))
	}()
	select {
	case o := <-booked:
		assert.Equal(t, order{1, "Ada"}, o)
	case err := <-ended:
		t.Fatal(err)
	case <-time.After(2 * time.Minute):
		t.Fatal("nothing was booked")
	}
	require.Eventually(t, func() bool {
		d, ok, err := ch.Get(queue+".dead", true)
		require.NoError(t, err)
		return ok && assert.Equal(t, "not JSON", string(d.Body))
	}, 2*time.Minute, 10*time.Millisecond)
	stop()
	require.NoError(t, <-ended)
	assert.Empty(t, booked)
}
