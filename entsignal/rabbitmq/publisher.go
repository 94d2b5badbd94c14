package rabbitmq

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/entsignal/signalbus/entsignal"
)

// Publisher publishes to one broker. It uses one connection, or several with
// [WithConnections]. It opens a connection when it is first needed, and replaces it
// when it is lost. It is safe for concurrent use. Up to 64 calls per connection
// publish at the same time; further calls wait.
type Publisher struct {
	cfg    *config
	broker broker

	life context.Context // ends when Close stops connecting
	end  context.CancelFunc

	recorder *Recorder // of NewRecorder; nil: there is a broker

	tasks sync.WaitGroup // every goroutine of the publisher and its sessions
	gone  chan struct{}  // closed when Close is done

	mu      sync.Mutex
	closed  bool
	running int
	idle    chan struct{} // closed when the last call returns after Close
	links   []*link
}

// NewPublisher returns a publisher for the broker at url, such as
// amqp://user:password@host:5672/vhost. It doesn't connect. It returns an error if
// url or an option is invalid. No error and no log record contains the URL or the
// password. It logs a warning if the URL sends the password in clear text to
// another machine.
//
// An amqps URL may name certificates with certfile, keyfile and cacertfile, unless
// [WithTLSConfig] is set.
func NewPublisher(url string, opts ...Option) (*Publisher, error) {
	cfg, err := newConfig(opts)
	if err != nil {
		return nil, err
	}
	b, err := newBroker(&cfg.connectionConfig, url)
	if err != nil {
		return nil, err
	}
	p := &Publisher{
		cfg:    cfg,
		broker: b,
		gone:   make(chan struct{}),
		idle:   make(chan struct{}),
	}
	p.life, p.end = context.WithCancel(context.Background())
	for i := range cfg.connections {
		p.links = append(p.links, &link{p: p, route: b.route(i)})
	}
	return p, nil
}

// Publish publishes msgs in order. It returns nil if the broker has confirmed each
// message and returned none as unroutable. Otherwise it returns an
// [*entsignal.BatchError] with one error per message, nil for those that are sent.
// The package documentation explains how errors are classified. Without messages it
// returns nil.
//
// If nothing fails, the messages arrive in the order of msgs. In a FlushOrdered,
// which Publish detects from ctx, it publishes nothing behind a message that is
// invalid or whose exchange is missing. If the broker refuses a message later, up
// to 1000 messages that were already on their way may overtake it.
//
// If ctx ends, the messages that are not confirmed yet fail with its error. They
// may have been stored.
func (p *Publisher) Publish(ctx context.Context, msgs ...Message) error {
	batch, _ := entsignal.BatchFromContext(ctx)
	return p.publish(ctx, batch.Mode, msgs, make([]error, len(msgs)), func() {})
}

// publish leaves out the messages that already have an error. It calls published
// when the last message is written, if nothing fails.
func (p *Publisher) publish(ctx context.Context, mode entsignal.Mode, msgs []Message, errs []error, published func()) error {
	if len(msgs) == 0 {
		return nil
	}
	entsignal.SendingTo(ctx, p.destination(msgs, ""))
	b := &batch{p: p, msgs: msgs, errs: errs, ordered: mode == entsignal.ModeFlushOrdered, published: published}
	b.prepare()
	if b.link = p.begin(); b.link == nil {
		b.failAll(b.todo, entsignal.Unavailable(ErrClosed))
		return b.result()
	}
	defer p.finish(b.link)
	if r := p.recorderOf(ctx); r != nil {
		b.record(ctx, r)
	} else {
		b.send(ctx)
	}
	return b.result()
}

// begin counts a call and returns the link with the fewest calls. It avoids links
// on which the call would fail at once, if there is another one. It returns nil if
// the publisher is closed.
func (p *Publisher) begin() *link {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil
	}
	now := time.Now()
	free := slices.MinFunc(p.links, func(a, b *link) int { return cmp.Or(a.rests(now)-b.rests(now), a.running-b.running) })
	free.running++
	p.running++
	return free
}

func (p *Publisher) finish(l *link) {
	p.mu.Lock()
	defer p.mu.Unlock()
	l.running--
	p.running--
	if p.closed && p.running == 0 {
		close(p.idle)
	}
}
