package rabbitmq_test

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/entsignal/rabbitmq"
)

// OrderPlaced stands for the entity that ent generates.
type OrderPlaced struct {
	ID      int
	OrderID int
}

// The sender of a signal encodes it and publishes the message. Here Encode takes
// the place of a broker, and shows what consumers get.
func ExampleSender() {
	pub, err := rabbitmq.NewPublisher("amqp://localhost", rabbitmq.WithAppID("shop"))
	if err != nil {
		panic(err)
	}
	send := rabbitmq.Sender(pub, func(s *OrderPlaced) (rabbitmq.Message, error) {
		body, err := json.Marshal(map[string]any{"order_id": s.OrderID})
		return rabbitmq.Message{Exchange: "shop.orders", RoutingKey: "placed", Body: body}, err
	})

	msgs, err := rabbitmq.Encode(context.Background(), send, &OrderPlaced{ID: 17, OrderID: 3})
	if err != nil {
		panic(err)
	}
	for _, m := range msgs {
		fmt.Printf("%s %s to %s/%s: %s\n", m.AppID, m.MessageID, m.Exchange, m.RoutingKey, m.Body)
	}
	// Output:
	// shop OrderPlaced:17 to shop.orders/placed: {"order_id":3}
}

// A publisher connects when it is first needed, so only the URL is checked here.
// The error never shows the password.
func ExampleNewPublisher() {
	_, err := rabbitmq.NewPublisher("amqp://shop:secret@localhost:not-a-port/")
	fmt.Println(err)
	// Output:
	// rabbitmq: the broker URL can't be parsed; want amqp://user:password@host:port/vhost or amqps://…, with / : @ ? # % in user, password and vhost percent-encoded
}

// A consumer calls its handler for each message. Run returns when its context ends.
func ExampleConsumer() {
	consumer, err := rabbitmq.NewConsumer("amqp://localhost", "billing.orders", func(_ context.Context, d rabbitmq.Delivery) error {
		var placed struct {
			OrderID int `json:"order_id"`
		}
		if err := json.Unmarshal(d.Body, &placed); err != nil {
			return entsignal.Permanent(err) // to the dead-letter exchange: it will never be readable
		}
		fmt.Printf("order %d, message %s of %s\n", placed.OrderID, d.MessageID, d.AppID)
		return nil // acknowledged
	}, rabbitmq.WithPrefetch(10))
	if err != nil {
		panic(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel() // a program ends it with signal.NotifyContext
	if err := consumer.Run(ctx); err != nil {
		panic(err)
	}
	// Output:
}
