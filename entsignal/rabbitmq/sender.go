package rabbitmq

import (
	"context"
	"fmt"

	"github.com/entsignal/signalbus/entsignal"
)

// Sender returns a sender that encodes each signal and publishes all of them
// in one call of [Publisher.Publish], whose errors it returns.
//
// A message whose MessageID is unset gets "<Signal>:<id>", the same each time
// the row is sent. That needs a bus: called with another context, the message
// stays without an id.
//
// An error of encode fails its own signal only, and the others are published.
// In a FlushOrdered nothing behind the first signal that can't be encoded is
// published. Wrap the error in [entsignal.Permanent] if encoding again can't
// help. While FlushMany waits for the confirms of one batch it claims and
// publishes the next. encode runs within the flush: it should be quick and must not wait.
func Sender[T any](p *Publisher, encode func(T) (Message, error)) entsignal.Sender[T] {
	return func(ctx context.Context, signals []T) error {
		batch, _ := entsignal.BatchFromContext(ctx)
		return sendBatch(ctx, p, batch, signals, encode)
	}
}

func sendBatch[T any](ctx context.Context, p *Publisher, batch entsignal.Batch, signals []T, encode func(T) (Message, error)) error {
	msgs := make([]Message, len(signals))
	errs := make([]error, len(signals))
	for i, signal := range signals {
		msg, err := encode(signal)
		if msg.MessageID == "" && len(batch.Items) == len(signals) {
			msg.MessageID = batch.Signal.Name + ":" + batch.Items[i].ID
		}
		if err != nil {
			errs[i] = &messageError{id: msg.MessageID, pos: i, err: fmt.Errorf("encode: %w", err)}
		}
		msgs[i] = msg
	}
	return p.publish(ctx, batch.Mode, msgs, errs, func() { entsignal.Published(ctx) })
}
