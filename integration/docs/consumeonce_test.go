package docs

import (
	"context"
	"crypto/rand"
	"testing"
	"time"

	entsql "entgo.io/ent/dialect/sql"
	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal/rabbitmq"
	"github.com/entsignal/signalbus/integration/docs/ent"
	"github.com/entsignal/signalbus/integration/internal/testdb"
)

// consumeOnce returns a consumer with an inbox.
func consumeOnce(url, queue string, client *ent.Client, work func(context.Context, *ent.Tx, rabbitmq.Delivery) error) (*rabbitmq.Consumer, error) {
	// snippet: consumeonce
	consumer, err := rabbitmq.NewConsumer(url, queue, func(ctx context.Context, d rabbitmq.Delivery) error {
		_, err := client.Received.Once(ctx, d.Key(), func(ctx context.Context, tx *ent.Tx) error {
			return work(ctx, tx, d) // through tx; it may record signals too
		})
		return err
	})
	// end snippet
	return consumer, err
}

func TestConsumerOfTheDocumentationDropsRepeats(t *testing.T) {
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
	pub, err := rabbitmq.NewPublisher(url, rabbitmq.WithAppID("shop"))
	require.NoError(t, err)
	t.Cleanup(func() { _ = pub.Close(context.Background()) })
	message := func(id string) rabbitmq.Message { return rabbitmq.Message{RoutingKey: queue, MessageID: id} }
	require.NoError(t, pub.Publish(ctx(t), message("OrderPlaced:1"), message("OrderPlaced:1"), message("OrderPlaced:2"), message("last")))

	db := database(t, testdb.PostgreSQL)
	client := ent.NewClient(ent.Driver(entsql.OpenDB(db.Dialect, db.Open(t))))
	consumer, err := consumeOnce(url, queue, client, func(ctx context.Context, tx *ent.Tx, d rabbitmq.Delivery) error {
		return tx.Order.Create().SetCustomer(d.MessageID).Exec(ctx)
	})
	require.NoError(t, err)
	running, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- consumer.Run(running) }()
	require.Eventually(t, func() bool { return client.Order.Query().CountX(ctx(t)) >= 3 }, 2*time.Minute, 10*time.Millisecond)
	stop()
	require.NoError(t, <-ended)
	q, err := ch.QueueDeclarePassive(queue, true, false, false, false, nil)
	require.NoError(t, err)
	assert.Zero(t, q.Messages)
	assert.Equal(t, 3, client.Order.Query().CountX(ctx(t)))
}
