package docs

import (
	"context"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/integration/docs/ent"
)

// receive handles a delivery once.
func receive(ctx context.Context, client *ent.Client, d amqp.Delivery, apply func(context.Context, *ent.Tx, amqp.Delivery) error) error {
	// snippet: once
	key := entsignal.MessageKey{Source: d.AppId, ID: d.MessageId}
	_, err := client.Received.Once(ctx, key, func(ctx context.Context, tx *ent.Tx) error {
		return apply(ctx, tx, d) // the work, through tx; it may record signals too
	})
	if err != nil {
		return d.Nack(false, !entsignal.IsPermanent(err)) // nothing was stored: let it come again
	}
	return d.Ack(false) // handled now, or a repeat
	// end snippet
}

// receiveBatch handles deliveries of one channel, the oldest first.
func receiveBatch(ctx context.Context, client *ent.Client, deliveries []amqp.Delivery, apply func(context.Context, *ent.Tx, amqp.Delivery) error) error {
	// snippet: oncemany
	byKey := make(map[entsignal.MessageKey]amqp.Delivery)
	var keys []entsignal.MessageKey
	for _, d := range deliveries {
		key := entsignal.MessageKey{Source: d.AppId, ID: d.MessageId}
		keys, byKey[key] = append(keys, key), d
	}
	last := deliveries[len(deliveries)-1]
	_, err := client.Received.OnceMany(ctx, keys, func(ctx context.Context, tx *ent.Tx, first []entsignal.MessageKey) error {
		for _, key := range first {
			if err := apply(ctx, tx, byKey[key]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return last.Nack(true, true) // all of them: nothing was stored
	}
	return last.Ack(true)
	// end snippet
}
