package crash

import (
	"context"
	"encoding/json"
	"errors"
	"sync/atomic"

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

// batchID is one batch that a call has sent. The batches of a process are
// counted from 1, whatever call they are of.
type batchID struct {
	callID
	Batch int
}

// A call that is running is found by its context.
type callKey struct{}

func (id callID) context(ctx context.Context) context.Context {
	return context.WithValue(ctx, callKey{}, id)
}

func callOf(ctx context.Context) (callID, bool) {
	id, ok := ctx.Value(callKey{}).(callID)
	return id, ok
}

// publication is what the senders of a process have in common.
type publication struct {
	pub     *rabbitmq.Publisher
	queue   string
	tell    func(report)
	batches atomic.Int64
}

// sender returns a sender that publishes, notes in each message which batch it
// belongs to, and tells which messages may not have been sent.
func sender[T any](p *publication, read func(T) message) entsignal.Sender[T] {
	return func(ctx context.Context, signals []T) error {
		call, ok := callOf(ctx)
		if !ok {
			return errors.New("a batch without its call")
		}
		id := batchID{call, int(p.batches.Add(1))}
		err := rabbitmq.Sender(p.pub, func(signal T) (rabbitmq.Message, error) {
			m := read(signal)
			m.Batch = id
			body, err := json.Marshal(m)
			return rabbitmq.Message{RoutingKey: p.queue, Body: body}, err
		})(ctx, signals)
		if err == nil {
			return nil
		}
		unsent := report{batchID: id, State: refused}
		var part *entsignal.BatchError
		for i, signal := range signals {
			if !errors.As(err, &part) || part.Errors[i] != nil {
				unsent.Entries = append(unsent.Entries, read(signal).Entry)
			}
		}
		p.tell(unsent)
		return err
	}
}

func (p *publication) senders() ent.SignalSenders {
	return ent.SignalSenders{
		Posted: sender(p, func(s *ent.Posted) message {
			return message{ID: s.ID, Entry: s.Entry, Key: s.Key, N: s.N}
		}),
		Moved: sender(p, func(s *ent.Moved) message {
			return message{ID: s.ID, Entry: s.Entry, Key: s.Key, N: s.N}
		}),
		Changed: sender(p, func(s *ent.Changed) message {
			return message{ID: s.ID, Entry: s.Entry, Key: s.Key, N: s.N}
		}),
	}
}
