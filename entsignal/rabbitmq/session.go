package rabbitmq

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/entsignal/signalbus/entsignal"
	amqp "github.com/rabbitmq/amqp091-go"
)

// maxChannels is how many calls of Publish may use one connection at the same time.
const maxChannels = 64

// session is one connection from its start to its end. It isn't reused.
type session struct {
	conn    *amqp.Connection
	raw     *socket
	addr    string // of the node
	log     *slog.Logger
	timeout time.Duration   // for each answer of the broker
	tasks   *sync.WaitGroup // the publisher's: it waits for all goroutines
	slots   chan struct{}   // one token for each channel that is out of the pool
	done    chan struct{}   // closed when the connection has ended

	killed  atomic.Bool            // or lost, and the log has it
	blocked atomic.Pointer[string] // the broker's reason while it reads nothing

	mu        sync.Mutex
	idle      []*channel
	exchanges map[string]struct{} // that are known to exist
}

func newSession(conn *amqp.Connection, raw *socket, addr string, cfg *connectionConfig, tasks *sync.WaitGroup) *session {
	s := &session{
		conn:      conn,
		raw:       raw,
		addr:      addr,
		log:       cfg.log,
		timeout:   cfg.answerTimeout,
		tasks:     tasks,
		slots:     make(chan struct{}, min(maxChannels, int(conn.Config.ChannelMax))),
		done:      make(chan struct{}),
		exchanges: make(map[string]struct{}),
	}
	// amqp091-go drops an event that isn't taken within 5 s.
	blocked := conn.NotifyBlocked(make(chan amqp.Blocking, 64))
	closed := conn.NotifyClose(make(chan *amqp.Error, 1))
	tasks.Go(func() { s.watch(blocked, closed) })
	return s
}

func (s *session) watch(blocked <-chan amqp.Blocking, closed <-chan *amqp.Error) {
	defer close(s.done)
	for {
		select {
		case b, ok := <-blocked:
			if !ok {
				blocked = nil
				continue
			}
			s.setBlocked(b)
		case err := <-closed:
			if err != nil {
				s.lost(err)
			}
			return
		}
	}
}

func (s *session) setBlocked(b amqp.Blocking) {
	was := s.blocked.Load() != nil
	if !b.Active {
		s.blocked.Store(nil)
		if was {
			s.log.Info("rabbitmq: connection unblocked")
		}
		return
	}
	reason := quote(b.Reason, maxQuoted)
	s.blocked.Store(&reason)
	if !was {
		s.log.Warn("rabbitmq: connection blocked", "reason", reason)
	}
}

// blockedError returns an error while the broker reads nothing from this
// connection. Anything written then would fill the socket.
func (s *session) blockedError() error {
	if reason := s.blocked.Load(); reason != nil {
		return entsignal.Unavailable(fmt.Errorf("connection blocked: %s", *reason))
	}
	return nil
}

func (s *session) dead() bool { return s.killed.Load() || s.conn.IsClosed() }

// lost logs that the connection is lost, once, and not if it was killed.
func (s *session) lost(err error) {
	if !s.killed.Swap(true) {
		s.log.Warn("rabbitmq: connection lost", "error", wrapBroker(err))
	}
}

// fail ends a connection after a failed write, which may be the first to notice
// that the connection is lost. If it isn't, watch has a better reason to log.
func (s *session) fail(err error) {
	if !s.conn.IsClosed() {
		s.lost(err)
		s.kill()
	}
}

// kill closes the connection without AMQP's handshake. This always works, and
// releases everything that waits.
func (s *session) kill() {
	s.killed.Store(true)
	_ = s.raw.Close()
}

// close closes the connection with AMQP's handshake, within ctx and the timeout.
func (s *session) close(ctx context.Context) {
	if s.blocked.Load() != nil {
		s.kill()
	}
	release := context.AfterFunc(ctx, s.kill)
	defer release()
	timer := time.AfterFunc(s.timeout, s.kill)
	defer timer.Stop()
	_ = s.conn.Close()
}

// bounded runs fn, a request that amqp091-go can't abandon. If the broker doesn't
// answer in time, bounded kills the connection, unless the broker has blocked it.
func (s *session) bounded(fn func() error) error {
	timer := time.AfterFunc(s.timeout, func() {
		if s.blocked.Load() == nil {
			s.log.Warn("rabbitmq: no answer from the broker, closing the connection", "after", s.timeout)
			s.kill()
		}
	})
	defer timer.Stop()
	return fn()
}

// ask runs fn and waits for it within ctx and the timeout. If they end first, it
// returns false. Then fn continues on its own, and late runs after it.
func (s *session) ask(ctx context.Context, fn func() error, late func(error)) (answered bool, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, s.timeout, entsignal.Unavailable(errNoAnswer))
	defer cancel()
	answer := make(chan error)
	s.tasks.Go(func() {
		err := s.bounded(fn)
		select {
		case answer <- err:
		case <-ctx.Done():
			late(err)
		}
	})
	select {
	case err := <-answer:
		return true, err
	case <-ctx.Done():
		return false, context.Cause(ctx)
	}
}

// wayError returns the error of a request that failed because of the connection.
func (s *session) wayError(err error) error {
	if s.dead() || errors.Is(err, amqp.ErrClosed) {
		return errLost
	}
	return entsignal.Unavailable(wrapBroker(err))
}
