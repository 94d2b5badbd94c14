package pqconn

import (
	"context"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"github.com/lib/pq"

	"github.com/entsignal/signalbus/internal/foreign"
)

const (
	// The pauses between two tries to connect again.
	minReconnect = 100 * time.Millisecond
	maxReconnect = time.Second
)

// Listen implements entsignal's WakeUp: it calls wake with the signals of each
// notification until ctx ends, and with nil when it has connected and when it has
// lost the connection. It returns an error if the first connection can't be made;
// later it connects again by itself. A network that is dead is noticed after the
// time of [WithTimeout], 30 seconds by default.
func (w *WakeUp) Listen(outer context.Context, wake func(signals []string)) error {
	ctx, cancel := context.WithCancel(outer)
	defer cancel()
	defer context.AfterFunc(w.life, cancel)()
	var channel string
	err := w.use(ctx, func(_ *notifying, name string) error {
		channel = name
		return nil
	})
	if err != nil {
		return err
	}
	// lib/pq holds a lock while it connects and while it pings, which its Close waits
	// for: so the end of ctx closes the connections themselves.
	d := &dying{dialer: dialer{timeout: w.cfg.timeout}, life: ctx, connectTimeout: w.cfg.connectTimeout}
	listener := pq.NewDialListener(d, withHosts(w.dsn), minReconnect, maxReconnect, func(event pq.ListenerEventType, err error) {
		if ctx.Err() != nil {
			return
		}
		switch event {
		case pq.ListenerEventDisconnected, pq.ListenerEventConnectionAttemptFailed:
			w.setFail(err)
		default:
			w.setFail(nil)
		}
		if event == pq.ListenerEventDisconnected {
			wake(nil)
		}
	})
	var refused error
	pinged := make(chan struct{})
	go func() {
		defer close(pinged)
		defer func() { _ = listener.Close() }()
		if err := listener.Listen(channel); err != nil {
			refused = err
			w.setFail(err)
			cancel()
			return
		}
		wake(nil)
		w.ping(ctx, listener)
	}()
	closed := context.AfterFunc(ctx, func() { _ = listener.Close() })
	defer closed()
	for n := range listener.Notify {
		switch {
		case n == nil:
			wake(nil)
		case w.proves(n.Extra):
		case n.Extra == "":
			wake(nil)
		default:
			wake(strings.Split(n.Extra, ","))
		}
	}
	<-pinged
	switch {
	case w.life.Err() != nil:
		return errClosed
	case outer.Err() != nil:
		return outer.Err()
	default: // the server takes no LISTEN
		return refused
	}
}

func (w *WakeUp) setFail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lastFail = err
}

// ping has the server answer now and then, until ctx ends. Without an answer the
// connection ends by its deadline.
func (w *WakeUp) ping(ctx context.Context, listener *pq.Listener) {
	ticker := time.NewTicker(w.cfg.timeout / 3)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			// An error ends the connection, and another one is made. If the answer is an error
			// and the connection stays, as with a pooler that has no server, lib/pq panics.
			_ = foreign.Do(func() { _ = listener.Ping() })
		case <-ctx.Done():
			return
		}
	}
}

// dying opens connections that end with a context, whatever lib/pq waits for.
type dying struct {
	dialer
	life           context.Context
	connectTimeout time.Duration
	opened         atomic.Pointer[mortal]
}

// DialContext opens a connection.
func (d *dying) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, d.connectTimeout)
	defer cancel()
	defer context.AfterFunc(d.life, cancel)()
	c, err := d.dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	m := &mortal{Conn: c}
	m.stop = context.AfterFunc(d.life, func() { _ = c.Close() })
	d.opened.Store(m)
	return m, nil
}

// Dial is part of pq.Dialer. lib/pq prefers DialContext.
func (d *dying) Dial(network, address string) (net.Conn, error) {
	return d.DialContext(context.Background(), network, address)
}

// DialTimeout is part of pq.Dialer. lib/pq prefers DialContext.
func (d *dying) DialTimeout(network, address string, _ time.Duration) (net.Conn, error) {
	return d.DialContext(context.Background(), network, address)
}

// last returns the connection that was opened last.
func (d *dying) last() net.Conn { return d.opened.Load() }

// mortal is a connection that ends with a context.
type mortal struct {
	net.Conn
	stop func() bool
}

func (m *mortal) Close() error {
	m.stop()
	return m.Conn.Close()
}
