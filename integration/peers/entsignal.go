package main

import (
	"context"
	"errors"
	"fmt"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/entsignal/pqconn"
	"github.com/entsignal/signalbus/entsignal/rabbitmq"
	"github.com/entsignal/signalbus/integration/bench/ent"
)

// bus is FlushMany with a burst count, or without any (0).
func bus(name string, burst, workers int) peer {
	return peer{
		name: name,
		record: func(ctx context.Context, p *place) error {
			client, err := open(p)
			if err != nil {
				return err
			}
			defer client.Close()
			if err := client.Schema.Create(ctx); err != nil {
				return err
			}
			body := p.body()
			for done := 0; done < p.count; done += 1000 {
				rows := make([]struct{}, min(1000, p.count-done))
				if err := client.Event.MapCreateBulk(rows, func(c *ent.EventCreate, i int) { c.SetOrderID(done + i).SetPayload(body) }).Exec(ctx); err != nil {
					return err
				}
			}
			return nil
		},
		send: func(ctx context.Context, p *place) (err error) {
			pub, err := rabbitmq.NewPublisher(p.amqp, rabbitmq.WithConnections(workers))
			if err != nil {
				return err
			}
			b, err := ent.NewSignalBus(ent.SignalSenders{Event: rabbitmq.Sender(pub, func(e *ent.Event) (rabbitmq.Message, error) {
				return rabbitmq.Message{RoutingKey: p.queue, Body: e.Payload}, nil
			})}, entsignal.WithMissingSenders())
			if err != nil {
				return err
			}
			client, err := open(p, ent.WithSignalBus(b))
			if err != nil {
				return err
			}
			opts := []entsignal.FlushOption{entsignal.Workers(workers)}
			if burst > 0 {
				opts = append(opts, entsignal.Burst(burst))
			}
			n, err := client.Event.FlushMany(ctx, opts...)
			if err == nil && n != p.count {
				err = fmt.Errorf("%d of %d sent", n, p.count)
			}
			ctx = context.WithoutCancel(ctx)
			return errors.Join(err, b.Close(ctx), pub.Close(ctx), client.Close())
		},
	}
}

// open connects as docs/databases.md tells.
func open(p *place, opts ...ent.Option) (*ent.Client, error) {
	db, err := pqconn.Open(p.dsn, pqconn.WithStatementCache(100))
	if err != nil {
		return nil, err
	}
	return ent.NewClient(append(opts, ent.Driver(entsql.OpenDB(dialect.Postgres, db)))...), nil
}
