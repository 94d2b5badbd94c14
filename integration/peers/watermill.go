package main

import (
	"context"
	stdsql "database/sql"
	"errors"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill-amqp/v3/pkg/amqp"
	"github.com/ThreeDotsLabs/watermill-sql/v4/pkg/sql"
	"github.com/ThreeDotsLabs/watermill/components/forwarder"
	"github.com/ThreeDotsLabs/watermill/message"
)

// watermillPeer is Watermill's forwarder from watermill-sql to watermill-amqp, which
// waits for each confirm, with batches of that many rows, or with its own (0).
func watermillPeer(name string, batch int) peer {
	schema := sql.DefaultPostgreSQLSchema{SubscribeBatchSize: batch}
	open := func(p *place) (*stdsql.DB, sql.Beginner, error) {
		db, err := stdsql.Open("postgres", p.dsn)
		return db, sql.BeginnerFromStdSQL(db), err
	}
	return peer{
		name: name,
		record: func(ctx context.Context, p *place) error {
			db, from, err := open(p)
			if err != nil {
				return err
			}
			defer db.Close()
			stored, err := sql.NewPublisher(from, sql.PublisherConfig{SchemaAdapter: schema, AutoInitializeSchema: true}, watermill.NopLogger{})
			if err != nil {
				return err
			}
			pub := forwarder.NewPublisher(stored, forwarder.PublisherConfig{})
			body := p.body()
			for done := 0; done < p.count; done += 1000 {
				all := make([]*message.Message, min(1000, p.count-done))
				for i := range all {
					all[i] = message.NewMessage(watermill.NewUUID(), body)
				}
				if err := pub.Publish(p.queue, all...); err != nil {
					return err
				}
			}
			return pub.Close()
		},
		send: func(ctx context.Context, p *place) (err error) {
			db, from, err := open(p)
			if err != nil {
				return err
			}
			defer db.Close()
			sub, err := sql.NewSubscriber(from, sql.SubscriberConfig{
				SchemaAdapter:    schema,
				OffsetsAdapter:   sql.DefaultPostgreSQLOffsetsAdapter{},
				PollInterval:     time.Millisecond,
				InitializeSchema: true,
			}, watermill.NopLogger{})
			if err != nil {
				return err
			}
			config := amqp.NewDurableQueueConfig(p.amqp)
			config.Publish.ConfirmDelivery = true
			pub, err := amqp.NewPublisher(config, watermill.NopLogger{})
			if err != nil {
				return err
			}
			f, err := forwarder.NewForwarder(sub, pub, watermill.NopLogger{}, forwarder.Config{})
			if err != nil {
				return err
			}
			err = f.Run(ctx)
			return errors.Join(err, f.Close(), pub.Close())
		},
	}
}
