package main

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/oagudo/outbox"
)

// outboxTable is what the documentation of oagudo/outbox says for PostgreSQL.
const outboxTable = `
CREATE TABLE outbox (
	id UUID PRIMARY KEY,
	created_at TIMESTAMP WITH TIME ZONE NOT NULL,
	scheduled_at TIMESTAMP WITH TIME ZONE NOT NULL,
	metadata BYTEA,
	payload BYTEA NOT NULL,
	times_attempted INTEGER NOT NULL
);
CREATE INDEX ON outbox (created_at);
CREATE INDEX ON outbox (scheduled_at);`

// toQueue publishes the messages of an outbox to a queue.
type toQueue struct {
	*publisher
	queue string
}

func (q toQueue) Publish(ctx context.Context, m *outbox.Message) error {
	return q.publish(ctx, q.queue, m.Payload)
}

// oagudoPeer is oagudo/outbox with batches of that many rows, or with its own (0). It
// looks again at once: with its default it would rest for 10 seconds after each batch.
func oagudoPeer(name string, batch int) peer {
	return peer{
		name: name,
		record: func(ctx context.Context, p *place) error {
			db, err := sql.Open("postgres", p.dsn)
			if err != nil {
				return err
			}
			defer db.Close()
			if _, err := db.ExecContext(ctx, outboxTable); err != nil {
				return err
			}
			writer := outbox.NewWriter(outbox.NewDBContext(db, outbox.SQLDialectPostgres))
			body := p.body()
			return writer.Write(ctx, func(ctx context.Context, _ outbox.TxQueryer, messages outbox.MessageWriter) error {
				for range p.count {
					if err := messages.Store(ctx, outbox.NewMessage(body)); err != nil {
						return err
					}
				}
				return nil
			})
		},
		send: func(ctx context.Context, p *place) (err error) {
			pub, err := newPublisher(p.amqp)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, pub.close()) }()
			db, err := sql.Open("postgres", p.dsn)
			if err != nil {
				return err
			}
			defer db.Close()
			opts := []outbox.ReaderOption{outbox.WithInterval(time.Millisecond)}
			if batch > 0 {
				opts = append(opts, outbox.WithReadBatchSize(batch), outbox.WithDeleteBatchSize(batch))
			}
			reader := outbox.NewReader(outbox.NewDBContext(db, outbox.SQLDialectPostgres), toQueue{pub, p.queue}, opts...)
			reader.Start()
			<-ctx.Done()
			return reader.Stop(context.WithoutCancel(ctx))
		},
	}
}
