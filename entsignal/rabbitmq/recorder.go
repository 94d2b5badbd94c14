package rabbitmq

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/entsignal/signalbus/entsignal"
	amqp "github.com/rabbitmq/amqp091-go"
)

// Recorder replaces a broker in tests. It records the messages that the publisher
// of [NewRecorder] publishes. Its methods are safe for concurrent use.
type Recorder struct {
	mu     sync.Mutex
	msgs   []Message
	answer func(Message) error
}

// NewRecorder returns a publisher that connects to no broker, for tests of whole
// senders, and the recorder that gets its messages. It takes the options of
// [NewPublisher]; those about the connection have no effect. Messages are checked
// as usual, except for what only a broker knows: exchanges, queues and its limits.
func NewRecorder(opts ...Option) (*Publisher, *Recorder, error) {
	p, err := NewPublisher("amqp://localhost", opts...)
	if err != nil {
		return nil, nil, err
	}
	p.recorder = &Recorder{}
	return p, p.recorder, nil
}

// Messages returns the messages published so far, in order, as a consumer gets
// them; see [Encode].
func (r *Recorder) Messages() []Message {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.msgs)
}

// Reset deletes the recorded messages.
func (r *Recorder) Reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.msgs = nil
}

// Answer sets the function that answers for each message in place of a broker. If
// it returns an error, such as one marked by [entsignal.Unavailable], the message
// isn't recorded and fails with that error. nil, the default, records all messages.
// answer may be called by several goroutines at the same time.
func (r *Recorder) Answer(answer func(Message) error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = answer
}

// publish records a message, or returns why not.
func (r *Recorder) publish(m Message) error {
	r.mu.Lock()
	answer := r.answer
	r.mu.Unlock()
	if answer != nil {
		if err := answer(m); err != nil {
			return err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.msgs = append(r.msgs, m)
	return nil
}

type recorderKey struct{}

// recorderOf returns the recorder of a call, or nil if the call goes to the broker.
func (p *Publisher) recorderOf(ctx context.Context) *Recorder {
	if r, ok := ctx.Value(recorderKey{}).(*Recorder); ok {
		return r
	}
	return p.recorder
}

// record replaces send if there is a recorder.
func (b *batch) record(ctx context.Context, r *Recorder) {
	for i, o := range b.todo {
		err := ctx.Err()
		if err == nil {
			err = r.publish(b.msgs[o.pos].sent(b.p.cfg.appID, o.headers))
		}
		if err == nil {
			b.errs[o.pos] = nil
			continue
		}
		b.fail(o, err)
		if rest := b.behind(ctx, err); rest != nil {
			b.failAll(b.todo[i+1:], rest)
			return
		}
	}
	b.published()
}

// behind returns the error for the messages after one that failed with err, or nil
// if they are published.
func (b *batch) behind(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case entsignal.IsUnavailable(err):
		return entsignal.Unavailable(errNotTried)
	case b.ordered:
		return errNotTried
	default:
		return nil
	}
}

// sent returns the message as it goes over the wire.
func (m Message) sent(appID string, headers amqp.Table) Message {
	if m.AppID == "" {
		m.AppID = appID
	}
	m.Headers = nil
	if len(headers) > 0 {
		m.Headers = maps.Clone(map[string]any(headers))
	}
	m.Body = slices.Clone(m.Body)
	m.Expiration = time.Duration(milliseconds(m.Expiration)) * time.Millisecond
	if !m.Timestamp.IsZero() {
		m.Timestamp = time.Unix(m.Timestamp.Unix(), 0)
	}
	return m
}
