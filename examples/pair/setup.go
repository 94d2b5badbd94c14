package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/entsignal/signalbus/examples/pair/ent"
)

const (
	accounts = 5       // of each bank, from 1
	start    = 100_000 // cents on each at the beginning
)

// exchange is where both banks publish, with the name of the bank that the message is for
// as the routing key. PAIR_EXCHANGE gives it another name.
func exchange() string { return cmp.Or(os.Getenv("PAIR_EXCHANGE"), "pair") }

// queue is where the messages for a bank wait.
func queue(bank string) string { return exchange() + "." + bank }

// setup creates what is missing. It may run again.
func setup(ctx context.Context, log *slog.Logger) error {
	for _, name := range []string{north, south} {
		b, err := open(log, name)
		if err != nil {
			return err
		}
		if err := errors.Join(b.createTables(ctx), b.close()); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return withChannel(declare)
}

func (b *bank) createTables(ctx context.Context) error {
	if err := b.client.Schema.Create(ctx); err != nil {
		return err
	}
	return b.client.Atomic(ctx, func(ctx context.Context, tx *ent.Tx) error {
		if there, err := tx.Account.Query().Exist(ctx); err != nil || there {
			return err
		}
		return tx.Account.MapCreateBulk(make([]struct{}, accounts), func(c *ent.AccountCreate, i int) {
			c.SetID(i + 1).SetCents(start)
		}).Exec(ctx)
	})
}

// declare creates the exchange and the queues. They survive a restart of the broker.
func declare(ch *amqp.Channel) error {
	const durable, autoDelete, internal, exclusive, noWait = true, false, false, false, false
	if err := ch.ExchangeDeclare(exchange(), amqp.ExchangeDirect, durable, autoDelete, internal, noWait, nil); err != nil {
		return fmt.Errorf("declare the exchange: %w", err)
	}
	for _, name := range []string{north, south} {
		dead := queue(name) + ".dead"
		if _, err := ch.QueueDeclare(dead, durable, autoDelete, exclusive, noWait, nil); err != nil {
			return fmt.Errorf("declare the queue of dead messages: %w", err)
		}
		if _, err := ch.QueueDeclare(queue(name), durable, autoDelete, exclusive, noWait, amqp.Table{
			"x-dead-letter-exchange": "", "x-dead-letter-routing-key": dead,
		}); err != nil {
			return fmt.Errorf("declare the queue: %w", err)
		}
		if err := ch.QueueBind(queue(name), name, exchange(), noWait, nil); err != nil {
			return fmt.Errorf("bind the queue: %w", err)
		}
	}
	return nil
}

// withChannel runs f with a connection to the broker.
func withChannel(f func(*amqp.Channel) error) error {
	url, err := required("AMQP_URL")
	if err != nil {
		return err
	}
	if _, err := amqp.ParseURI(url); err != nil {
		return errors.New("AMQP_URL: want amqp://user:password@host:port/vhost") // the error may show the password
	}
	conn, err := amqp.Dial(url)
	if err != nil {
		return fmt.Errorf("connect to the broker: %w", err)
	}
	defer conn.Close()
	ch, err := conn.Channel()
	if err != nil {
		return err
	}
	return f(ch)
}
