package rabbitmq

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/entsignal/signalbus/entsignal"
	amqp "github.com/rabbitmq/amqp091-go"
)

// link is one connection of a publisher, with all sessions that follow each other
// on it. The publisher's mutex guards it.
type link struct {
	p *Publisher

	running int   // calls of Publish
	route   route // used by the attempt only
	current *session
	attempt *attempt
	retryAt time.Time // earliest time of the next attempt
	lastErr error     // of the last attempt, returned until retryAt
	down    bool      // the last attempt failed
}

// attempt is one attempt to connect, shared by all calls that wait for it.
type attempt struct {
	done    chan struct{}
	session *session
	err     error
}

// connect returns the current session, or waits for a new one.
func (l *link) connect(ctx context.Context) (*session, error) {
	p := l.p
	p.mu.Lock()
	if l.current != nil && !l.current.dead() {
		defer p.mu.Unlock()
		return l.current, nil
	}
	if l.attempt == nil {
		if time.Now().Before(l.retryAt) {
			defer p.mu.Unlock()
			return nil, l.lastErr
		}
		a := &attempt{done: make(chan struct{})}
		l.attempt = a
		p.tasks.Go(func() { l.try(a) })
	}
	a := l.attempt
	p.mu.Unlock()

	select {
	case <-a.done:
		return a.session, a.err
	case <-ctx.Done():
		return nil, entsignal.Unavailable(fmt.Errorf("connecting: %w", ctx.Err()))
	}
}

// rests returns 1 if connect would fail at once because of an earlier failure,
// otherwise 0.
func (l *link) rests(now time.Time) int {
	if l.attempt == nil && (l.current == nil || l.current.dead()) && now.Before(l.retryAt) {
		return 1
	}
	return 0
}

// try connects once. After a failure, all calls fail with its error for about as
// long as the attempt took. So a network that swallows packets delays callers for
// at most half of the time, and a refused connection costs almost nothing.
func (l *link) try(a *attempt) {
	defer close(a.done)
	p := l.p
	started := time.Now()
	p.mu.Lock()
	lost := l.current != nil
	p.mu.Unlock()
	conn, raw, addr, err := l.route.dial(p.life, lost)
	if err != nil {
		a.err = entsignal.Unavailable(err)
		if l.failed(a.err, pause(time.Since(started), err)) {
			p.cfg.log.Warn("rabbitmq: can't connect", "address", p.broker.addr, "error", err)
		}
		return
	}
	p.cfg.log.Info("rabbitmq: connected", "address", addr)
	a.session = newSession(conn, raw, addr, &p.cfg.connectionConfig, &p.tasks)
	p.mu.Lock()
	defer p.mu.Unlock()
	l.attempt, l.current, l.down = nil, a.session, false
}

// failed notes a failed attempt and reports whether to log it.
func (l *link) failed(err error, pause time.Duration) bool {
	p := l.p
	p.mu.Lock()
	defer p.mu.Unlock()
	news := !l.down && !p.closed
	l.attempt, l.down = nil, true
	l.lastErr, l.retryAt = err, time.Now().Add(pause)
	return news
}

// pause returns how long not to connect after a failed attempt.
func pause(took time.Duration, err error) time.Duration {
	const least, most = 50 * time.Millisecond, 5 * time.Second
	took = min(max(took, least), most)
	switch code(err) {
	case amqp.AccessRefused, amqp.NotAllowed: // wrong login or vhost: only the operator can help
		took = most
	}
	return time.Duration(float64(took) * (0.8 + 0.4*rand.Float64()))
}

// session returns the last session, after waiting for a running attempt.
func (l *link) session() *session {
	l.p.mu.Lock()
	a := l.attempt
	l.p.mu.Unlock()
	if a != nil {
		<-a.done
	}
	l.p.mu.Lock()
	defer l.p.mu.Unlock()
	return l.current
}
