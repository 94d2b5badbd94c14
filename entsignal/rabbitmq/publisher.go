package rabbitmq

import (
	"cmp"
	"context"
	"errors"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/entsignal/signalbus/entsignal"
)

// Publisher publishes to one broker over one connection, or several (see
// [WithConnections]), which it opens when they are first needed and replaces
// when they are lost. It is safe for use by many goroutines; up to 64 for each
// connection publish at once, the others wait.
type Publisher struct {
	cfg  *config
	addr string
	dial dialer

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
// amqp://user:password@host:5672/vhost. It doesn't connect. It returns an
// error if url or an option can't be used; no error and no log record contains
// the URL or the password. It logs a warning if the URL sends the password in
// clear text to another machine.
//
// An amqps URL without [WithTLSConfig] may name certificates by certfile,
// keyfile and cacertfile.
func NewPublisher(url string, opts ...Option) (*Publisher, error) {
	cfg, err := newConfig(opts)
	if err != nil {
		return nil, err
	}
	uri, err := checkURL(url)
	if err != nil {
		return nil, err
	}
	if cfg.tls != nil && uri.Scheme != "amqps" {
		return nil, errors.New("rabbitmq: WithTLSConfig needs an amqps URL")
	}
	p := &Publisher{
		cfg:  cfg,
		addr: net.JoinHostPort(uri.Host, strconv.Itoa(uri.Port)),
		dial: newDialer(cfg, url),
		gone: make(chan struct{}),
		idle: make(chan struct{}),
	}
	p.life, p.end = context.WithCancel(context.Background())
	for range cfg.connections {
		p.links = append(p.links, &link{p: p})
	}
	if uri.Scheme == "amqp" && !isLocal(uri.Host) {
		cfg.log.Warn("rabbitmq: password and messages go over the network in clear text, use amqps", "address", p.addr)
	}
	return p, nil
}

// Publish publishes msgs in their order and returns nil when the broker has
// confirmed each and returned none. Otherwise it returns an
// [*entsignal.BatchError] with one error for each message, nil for those that
// are sent; the package documentation says how errors are classified. No
// messages are nothing to do.
//
// The order of arrival is that of msgs as long as nothing fails. In a
// FlushOrdered, which it sees by ctx, it publishes nothing behind a message
// that is invalid or whose exchange is missing. A message that the broker
// refuses later may be overtaken by up to 1000 that were already on the way.
//
// When ctx ends, the messages whose confirm is still missing fail with its
// error; they may have been stored.
func (p *Publisher) Publish(ctx context.Context, msgs ...Message) error {
	batch, _ := entsignal.BatchFromContext(ctx)
	return p.publish(ctx, batch.Mode, msgs, make([]error, len(msgs)), func() {})
}

// publish leaves out the messages that already have an error. It calls
// published when no other will be written, if all goes well.
func (p *Publisher) publish(ctx context.Context, mode entsignal.Mode, msgs []Message, errs []error, published func()) error {
	if len(msgs) == 0 {
		return nil
	}
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

// begin counts a call, and returns the link that has the fewest of them, the
// first of several, or one on which it would fail at once only if there is no
// other. It returns nil if the publisher is closed.
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
