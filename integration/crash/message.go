package crash

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/entsignal/rabbitmq"
	"github.com/entsignal/signalbus/integration/crash/ent"
)

// message is what is published of a signal.
type message struct {
	ID    int // of the signal's row
	Entry string
	Key   int
	N     int
	Batch batchID
}

// callID is one flush, or one commit of a writer.
type callID struct{ Process, Worker, Call int }

// batchID is one batch that a call has sent.
type batchID struct {
	callID
	Batch int
}

// call is a call that is running. Its batches and its errors find it by their
// context.
type call struct {
	id      callID
	batches int
	err     error
	refused func(batchID) // called with a batch that its sender didn't send
}

type callKey struct{}

func (c *call) context(ctx context.Context) context.Context {
	return context.WithValue(ctx, callKey{}, c)
}

func callOf(ctx context.Context) *call {
	c, _ := ctx.Value(callKey{}).(*call)
	return c
}

// sender returns a sender that publishes to a queue, and notes in each message
// which batch it belongs to.
func sender[T any](pub *rabbitmq.Publisher, queue string, read func(T) message) entsignal.Sender[T] {
	return func(ctx context.Context, signals []T) error {
		c := callOf(ctx)
		if c == nil {
			return errors.New("a batch without its call")
		}
		c.batches++
		id := batchID{c.id, c.batches}
		err := rabbitmq.Sender(pub, func(signal T) (rabbitmq.Message, error) {
			m := read(signal)
			m.Batch = id
			body, err := json.Marshal(m)
			return rabbitmq.Message{RoutingKey: queue, Body: body}, err
		})(ctx, signals)
		if err != nil {
			c.refused(id)
		}
		return err
	}
}

func senders(pub *rabbitmq.Publisher, queue string) ent.SignalSenders {
	return ent.SignalSenders{
		Posted: sender(pub, queue, func(s *ent.Posted) message {
			return message{ID: s.ID, Entry: s.Entry, Key: s.Key, N: s.N}
		}),
		Changed: sender(pub, queue, func(s *ent.Changed) message {
			return message{ID: s.ID, Entry: s.Entry, Key: s.Key, N: s.N}
		}),
	}
}
