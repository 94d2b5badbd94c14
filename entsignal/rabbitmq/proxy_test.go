package rabbitmq

import (
	"io"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// proxy stands between a publisher and the broker, to break the network for
// real.
type proxy struct {
	t        *testing.T
	target   string
	listener net.Listener
	tasks    sync.WaitGroup

	swallowDown atomic.Bool // the broker's answers get lost
	swallowUp   atomic.Bool // what the publisher sends gets lost
	accepted    atomic.Int64
	stalled     chan struct{} // never closed: who waits for it doesn't read
	stall       atomic.Bool

	mu    sync.Mutex
	conns []net.Conn
}

func newProxy(t *testing.T) *proxy {
	t.Helper()
	u, err := url.Parse(brokerURL(t))
	require.NoError(t, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	host := u.Host
	if u.Port() == "" {
		host = net.JoinHostPort(u.Hostname(), "5672")
	}
	p := &proxy{t: t, target: host, listener: l, stalled: make(chan struct{})}
	p.tasks.Go(p.accept)
	t.Cleanup(func() {
		_ = l.Close()
		close(p.stalled)
		p.cut()
		p.tasks.Wait()
	})
	return p
}

// url returns the broker's URL with the proxy as its host.
func (p *proxy) url() string {
	u, err := url.Parse(brokerURL(p.t))
	require.NoError(p.t, err)
	u.Host = p.listener.Addr().String()
	return u.String()
}

func (p *proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.accepted.Add(1)
		server, err := net.Dial("tcp", p.target)
		if err != nil {
			_ = client.Close()
			continue
		}
		p.mu.Lock()
		p.conns = append(p.conns, client, server)
		p.mu.Unlock()
		p.tasks.Go(func() { p.pipe(server, client, &p.swallowUp) })
		p.tasks.Go(func() { p.pipe(client, server, &p.swallowDown) })
	}
}

func (p *proxy) pipe(to, from net.Conn, swallow *atomic.Bool) {
	defer to.Close()
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if p.stall.Load() {
			<-p.stalled
		}
		if !swallow.Load() {
			if _, err := to.Write(buf[:n]); err != nil {
				_, _ = io.Copy(io.Discard, from)
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// cut resets every connection.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		_ = c.(*net.TCPConn).SetLinger(0)
		_ = c.Close()
	}
	p.conns = nil
}
