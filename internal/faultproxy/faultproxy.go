// Package faultproxy breaks the network between a test and a server for real.
package faultproxy

import (
	"io"
	"maps"
	"net"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Proxy forwards TCP connections to a server until it is told to break them.
type Proxy struct {
	// SwallowUp and SwallowDown make what goes to the server, or comes from
	// it, get lost. The connections stay open: a black hole.
	SwallowUp, SwallowDown atomic.Bool
	// Stall stops the reading on both sides, so that the senders' buffers
	// fill up. It can't be undone.
	Stall atomic.Bool
	// Latency is how many nanoseconds each piece of data is held back, one
	// after the other, in each direction.
	Latency atomic.Int64

	target   atomic.Pointer[string]
	listener net.Listener
	tasks    sync.WaitGroup
	accepted atomic.Int64
	over     chan struct{}

	mu    sync.Mutex
	pairs map[*pair]struct{}
}

// pair is one connection through the proxy.
type pair struct {
	client, server net.Conn
	lostUp         atomic.Bool // what goes to the server
	lostDown       atomic.Bool
}

// cut resets the connection.
func (c *pair) cut() {
	for _, end := range []net.Conn{c.client, c.server} {
		if tcp, ok := end.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
		_ = end.Close()
	}
}

// New returns a proxy for the server at an address, which ends with the test.
func New(t testing.TB, target string) *Proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &Proxy{listener: l, over: make(chan struct{}), pairs: make(map[*pair]struct{})}
	p.Redirect(target)
	p.tasks.Go(p.accept)
	t.Cleanup(func() {
		_ = l.Close()
		close(p.over)
		p.Cut()
		p.tasks.Wait()
	})
	return p
}

// ForURL returns a proxy for the server of a URL, and the URL that leads to
// the server through it.
func ForURL(t testing.TB, server, defaultPort string) (p *Proxy, through string) {
	t.Helper()
	u, err := url.Parse(server)
	require.NoError(t, err, "the URL of a server")
	port := u.Port()
	if port == "" {
		port = defaultPort
	}
	p = New(t, net.JoinHostPort(u.Hostname(), port))
	u.Host = p.Addr()
	return p, u.String()
}

// Addr returns the address of the proxy.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Redirect makes new connections go to the server at another address. Those that
// are open stay where they are.
func (p *Proxy) Redirect(target string) { p.target.Store(&target) }

// Accepted returns how many connections were made.
func (p *Proxy) Accepted() int64 { return p.accepted.Load() }

// BlackHole makes everything get lost, both ways, or ends that.
func (p *Proxy) BlackHole(on bool) {
	p.SwallowUp.Store(on)
	p.SwallowDown.Store(on)
}

// Open returns how many connections there are.
func (p *Proxy) Open() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.pairs)
}

// Cut resets every connection and returns how many there were.
func (p *Proxy) Cut() int { return p.Fade(false, false)() }

// Fade makes what goes to the server, or comes from it, get lost on the
// connections that there are now, and on no later ones. end resets them and
// returns how many there were.
func (p *Proxy) Fade(up, down bool) (end func() int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := slices.Collect(maps.Keys(p.pairs))
	for _, c := range all {
		c.lostUp.Store(up)
		c.lostDown.Store(down)
	}
	return func() (cut int) {
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, c := range all {
			if _, open := p.pairs[c]; open {
				c.cut()
				delete(p.pairs, c)
				cut++
			}
		}
		return cut
	}
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.accepted.Add(1)
		server, err := net.Dial("tcp", *p.target.Load())
		if err != nil {
			_ = client.Close()
			continue
		}
		c := &pair{client: client, server: server}
		p.mu.Lock()
		p.pairs[c] = struct{}{}
		p.mu.Unlock()
		p.tasks.Go(func() {
			var both sync.WaitGroup
			both.Go(func() { p.pipe(server, client, &p.SwallowUp, &c.lostUp) })
			both.Go(func() { p.pipe(client, server, &p.SwallowDown, &c.lostDown) })
			both.Wait()
			p.mu.Lock()
			defer p.mu.Unlock()
			delete(p.pairs, c)
		})
	}
}

func (p *Proxy) pipe(to, from net.Conn, swallow, lost *atomic.Bool) {
	defer to.Close()
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if p.Stall.Load() {
			<-p.over
		}
		p.delay(time.Duration(p.Latency.Load()))
		if n > 0 && !swallow.Load() && !lost.Load() {
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

// delay holds a piece of data back, unless the proxy ends.
func (p *Proxy) delay(d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-p.over:
	}
}
