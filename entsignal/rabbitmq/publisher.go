package rabbitmq

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/entsignal/signalbus/entsignal"
	amqp "github.com/rabbitmq/amqp091-go"
)

// Publisher publishes to one broker over one connection, which it opens when
// it is first needed and replaces when it is lost. It is safe for use by many
// goroutines; up to 64 publish at once, the others wait.
type Publisher struct {
	cfg  *config
	addr string
	dial dialer

	life context.Context // ends when Close stops connecting
	end  context.CancelFunc

	tasks sync.WaitGroup // every goroutine of the publisher and its sessions
	gone  chan struct{}  // closed when Close is done

	mu      sync.Mutex
	closed  bool
	running int
	idle    chan struct{} // closed when the last call returns after Close
	current *session
	attempt *attempt
	retryAt time.Time // nobody connects before
	lastErr error     // of the attempt before retryAt
	down    bool      // the last attempt failed
}

// attempt is a connect that any number of calls wait for.
type attempt struct {
	done    chan struct{}
	session *session
	err     error
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
	return p.publish(ctx, batch.Mode, msgs, make([]error, len(msgs)))
}

// publish leaves out the messages that already have an error.
func (p *Publisher) publish(ctx context.Context, mode entsignal.Mode, msgs []Message, errs []error) error {
	if len(msgs) == 0 {
		return nil
	}
	b := &batch{p: p, msgs: msgs, errs: errs, ordered: mode == entsignal.ModeFlushOrdered}
	b.prepare()
	if p.begin() {
		b.send(ctx)
		p.finish()
	} else {
		b.failAll(b.todo, entsignal.Unavailable(ErrClosed))
	}
	return b.result()
}

// begin counts a call, unless the publisher is closed.
func (p *Publisher) begin() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.running++
	return true
}

func (p *Publisher) finish() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running--
	if p.closed && p.running == 0 {
		close(p.idle)
	}
}

// connect returns the living session or waits for a new one.
func (p *Publisher) connect(ctx context.Context) (*session, error) {
	p.mu.Lock()
	if p.current != nil && !p.current.dead() {
		defer p.mu.Unlock()
		return p.current, nil
	}
	if p.attempt == nil {
		if time.Now().Before(p.retryAt) {
			defer p.mu.Unlock()
			return nil, p.lastErr
		}
		a := &attempt{done: make(chan struct{})}
		p.attempt = a
		p.tasks.Go(func() { p.try(a) })
	}
	a := p.attempt
	p.mu.Unlock()

	select {
	case <-a.done:
		return a.session, a.err
	case <-ctx.Done():
		return nil, entsignal.Unavailable(fmt.Errorf("connecting: %w", ctx.Err()))
	}
}

// try connects once. A failure is everybody's for about as long as it took to
// find out: a black hole then delays callers half of the time at most, and a
// refused connection costs nothing.
func (p *Publisher) try(a *attempt) {
	defer close(a.done)
	started := time.Now()
	conn, raw, err := p.dial(p.life)
	if err != nil {
		a.err = entsignal.Unavailable(err)
		if p.failed(a.err, pause(time.Since(started), err)) {
			p.cfg.log.Warn("rabbitmq: can't connect", "address", p.addr, "error", err)
		}
		return
	}
	p.cfg.log.Info("rabbitmq: connected", "address", p.addr)
	a.session = newSession(conn, raw, p.cfg, &p.tasks)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.attempt, p.current, p.down = nil, a.session, false
}

// failed notes a failed attempt and reports whether it is news.
func (p *Publisher) failed(err error, pause time.Duration) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	news := !p.down && !p.closed
	p.attempt, p.down = nil, true
	p.lastErr, p.retryAt = err, time.Now().Add(pause)
	return news
}

// pause returns how long not to connect again after a failed attempt.
func pause(took time.Duration, err error) time.Duration {
	const least, most = 50 * time.Millisecond, 5 * time.Second
	took = min(max(took, least), most)
	switch code(err) {
	case amqp.AccessRefused, amqp.NotAllowed: // wrong login or vhost: only the operator can help
		took = most
	}
	return time.Duration(float64(took) * (0.8 + 0.4*rand.Float64()))
}
