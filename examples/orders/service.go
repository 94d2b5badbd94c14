package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/entsignal/pqconn"
	"github.com/entsignal/signalbus/entsignal/rabbitmq"
	"github.com/entsignal/signalbus/examples/orders/ent"
)

// appID tells consumers where a message comes from. Message ids are unique
// within one application only.
const appID = "orders"

// service is what the commands work with.
type service struct {
	client    *ent.Client
	bus       *entsignal.Bus
	publisher *rabbitmq.Publisher
	wakeUp    *pqconn.WakeUp
}

// open returns the service for the database and the broker that the
// environment names. It connects to neither yet.
func open(log *slog.Logger) (*service, error) {
	databaseURL, err := required("DATABASE_URL")
	if err != nil {
		return nil, err
	}
	amqpURL, err := required("AMQP_URL")
	if err != nil {
		return nil, err
	}
	// lib/pq alone waits for minutes when the network is dead, and prepares each
	// statement anew.
	db, err := pqconn.Open(databaseURL, pqconn.WithStatementCache(100))
	if err != nil {
		return nil, fmt.Errorf("DATABASE_URL: %w", err)
	}
	db.SetConnMaxLifetime(time.Hour)
	publisher, err := rabbitmq.NewPublisher(amqpURL, rabbitmq.WithAppID(appID), rabbitmq.WithLogger(log))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("AMQP_URL: %w", err), db.Close())
	}
	// Commits that leave a signal pending wake the relay, "signalbus run".
	wakeUp, err := pqconn.NewWakeUp(databaseURL)
	if err != nil {
		return nil, errors.Join(err, publisher.Close(context.Background()), db.Close())
	}
	bus, err := ent.NewSignalBus(ent.SignalSenders{
		OrderPlaced: rabbitmq.Sender(publisher, encode),
	}, entsignal.WithLogger(log), entsignal.WithWakeUp(wakeUp))
	if err != nil {
		return nil, errors.Join(err, wakeUp.Close(), publisher.Close(context.Background()), db.Close())
	}
	client := ent.NewClient(ent.Driver(entsql.OpenDB(dialect.Postgres, db)), ent.WithSignalBus(bus))
	return &service{client: client, bus: bus, publisher: publisher, wakeUp: wakeUp}, nil
}

// close ends the service in the order in which its parts need each other: the
// bus finishes what it is sending, then nobody needs the publisher, then
// nobody needs the database.
func (s *service) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return errors.Join(s.bus.Close(ctx), s.wakeUp.Close(), s.publisher.Close(ctx), s.client.Close())
}

// orderPlaced is the body of a message, the contract with the consumers. The
// entity may change without them.
type orderPlaced struct {
	OrderID  int    `json:"order_id"`
	Customer string `json:"customer"`
	Cents    int    `json:"cents"`
}

func encode(s *ent.OrderPlaced) (rabbitmq.Message, error) {
	body, err := json.Marshal(orderPlaced{OrderID: s.OrderID, Customer: s.Customer, Cents: s.Cents})
	return rabbitmq.Message{
		Exchange:    exchange,
		RoutingKey:  routingKey,
		ContentType: "application/json",
		Type:        "order.placed",
		Body:        body,
	}, err
}

// placeOrder records an order and its signal in one transaction. The commit
// sends the signal; if it can't, the signal stays for a flush.
func placeOrder(ctx context.Context, client *ent.Client, customer string, cents int) (*ent.Order, error) {
	tx, err := client.Tx(ctx)
	if err != nil {
		return nil, err
	}
	order, err := recordOrder(ctx, tx, customer, cents)
	if err != nil {
		return nil, errors.Join(err, tx.Rollback())
	}
	return order, tx.Commit()
}

// recordOrder records an order and its signal in the caller's transaction.
func recordOrder(ctx context.Context, tx *ent.Tx, customer string, cents int) (*ent.Order, error) {
	order, err := tx.Order.Create().SetCustomer(customer).SetCents(cents).Save(ctx)
	if err != nil {
		return nil, err
	}
	return order, tx.OrderPlaced.Create().
		SetOrderID(order.ID).
		SetCustomer(customer).
		SetCents(cents).
		Exec(ctx)
}

var errNotSet = errors.New("is not set; see orders/README.md")

// required returns the value of an environment variable. No error shows the
// value, because it has a password in it.
func required(name string) (string, error) {
	value := os.Getenv(name)
	if value == "" {
		return "", fmt.Errorf("%s %w", name, errNotSet)
	}
	return value, nil
}
