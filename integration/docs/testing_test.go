package docs

import (
	"encoding/json"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal/entsignaltest"
	"github.com/entsignal/signalbus/entsignal/rabbitmq"
	"github.com/entsignal/signalbus/integration/docs/ent"
	"github.com/entsignal/signalbus/integration/docs/ent/orderplaced"
)

func TestRecordedSignalIsFoundByAQuery(t *testing.T) {
	var senders recorder
	bus, client := senders.openSQLite(t, filepath.Join(t.TempDir(), "shop.db"))

	// snippet: testing
	bus.SetAutoFlush(false) // commits record signals and don't send them
	order, err := placeOrder(t.Context(), client, "Ada")
	require.NoError(t, err)

	recorded := client.OrderPlaced.Query().Where(orderplaced.Customer("Ada")).OnlyX(t.Context())
	assert.Equal(t, order.ID, recorded.OrderID)
	// end snippet
	assert.Empty(t, senders.orders)

	// What the page says of a service that forgets its signal, or records two.
	_, err = client.OrderPlaced.Query().Where(orderplaced.Customer("Bob")).Only(t.Context())
	require.EqualError(t, err, "ent: order_placed not found")
	_, err = placeOrder(t.Context(), client, "Ada")
	require.NoError(t, err)
	_, err = client.OrderPlaced.Query().Where(orderplaced.Customer("Ada")).Only(t.Context())
	require.EqualError(t, err, "ent: order_placed not singular")
}

func TestSenderHasBeenCalledWhenTheCommitReturns(t *testing.T) {
	// snippet: testing_sent
	senders, outbox := entsignaltest.Senders[ent.SignalSenders](t)
	bus, err := ent.NewSignalBus(senders, outbox.Option())
	// end snippet
	require.NoError(t, err)
	client := openSQLite(filepath.Join(t.TempDir(), "shop.db"), bus)
	t.Cleanup(func() { client.Close() })
	require.NoError(t, client.Schema.Create(t.Context()))

	// snippet: testing_one
	_, err = placeOrder(t.Context(), client, "Ada")
	require.NoError(t, err)

	placed := entsignaltest.One[*ent.OrderPlaced](outbox) // exactly one, or the test fails and shows what was sent
	assert.Equal(t, "Ada", placed.Customer)
	// end snippet

	// snippet: testing_away
	back := entsignaltest.Away[*ent.OrderPlaced](outbox)
	_, err = placeOrder(t.Context(), client, "Bob")
	require.NoError(t, err) // the commit succeeds, and the signal stays pending
	// end snippet
	assert.Equal(t, 1, client.OrderPlaced.Query().CountX(t.Context()))
	// snippet: testing_away
	back()
	require.NoError(t, outbox.Drain(t.Context()))
	assert.Len(t, entsignaltest.Sent[*ent.OrderPlaced](outbox), 2)
	// end snippet
}

func TestMessageIsEncodedWithoutABroker(t *testing.T) {
	pub, err := rabbitmq.NewPublisher("amqp://localhost", rabbitmq.WithAppID("shop"))
	require.NoError(t, err)
	send := rabbitmq.Sender(pub, func(s *ent.OrderPlaced) (rabbitmq.Message, error) {
		body, err := json.Marshal(map[string]any{"order_id": s.OrderID, "customer": s.Customer})
		return rabbitmq.Message{Exchange: "shop.orders", RoutingKey: "placed", Body: body}, err
	})
	// snippet: testing_message
	msgs, err := rabbitmq.Encode(t.Context(), send, &ent.OrderPlaced{ID: 17, OrderID: 3, Customer: "Ada"})
	require.NoError(t, err)
	assert.Equal(t, "OrderPlaced:17", msgs[0].MessageID)
	assert.JSONEq(t, `{"order_id": 3, "customer": "Ada"}`, string(msgs[0].Body))
	// end snippet
	assert.Equal(t, "shop", msgs[0].AppID)
}
