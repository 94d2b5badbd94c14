package pqconn

import (
	"bufio"
	"context"
	"net"
	"sync"
	"time"
)

// dialer opens all connections of lib/pq, including those of cancel requests.
type dialer struct{ timeout time.Duration }

func (d *dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return newConn(c, d.timeout), nil
}

// Dial is part of pq.Dialer. lib/pq prefers DialContext.
func (d *dialer) Dial(network, address string) (net.Conn, error) {
	return d.DialContext(context.Background(), network, address)
}

// DialTimeout is part of pq.Dialer. lib/pq prefers DialContext.
func (d *dialer) DialTimeout(network, address string, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return d.DialContext(ctx, network, address)
}

// readBuffer is how much one read takes from the network. lib/pq reads 4 KiB at a time,
// which is a system call for each row of that size.
const readBuffer = 32 << 10

// conn sets a deadline before each read and each write. An earlier deadline of
// lib/pq, for connecting as a whole, stays in force.
type conn struct {
	net.Conn
	timeout  time.Duration
	buffered *bufio.Reader // reads by readThrough

	mu          sync.Mutex
	read, write time.Time // deadlines set by the caller; zero means none
}

func newConn(inner net.Conn, timeout time.Duration) *conn {
	c := &conn{Conn: inner, timeout: timeout}
	c.buffered = bufio.NewReaderSize(readThrough{c}, readBuffer)
	return c
}

func (c *conn) Read(b []byte) (int, error) { return c.buffered.Read(b) }

// readThrough reads from the network, with the deadline.
type readThrough struct{ *conn }

func (t readThrough) Read(b []byte) (int, error) {
	c := t.conn
	if err := c.Conn.SetReadDeadline(c.earliest(&c.read)); err != nil {
		return 0, err
	}
	return c.Conn.Read(b)
}

func (c *conn) Write(b []byte) (int, error) {
	if err := c.Conn.SetWriteDeadline(c.earliest(&c.write)); err != nil {
		return 0, err
	}
	return c.Conn.Write(b)
}

func (c *conn) earliest(outer *time.Time) time.Time {
	own := time.Now().Add(c.timeout)
	c.mu.Lock()
	defer c.mu.Unlock()
	if !outer.IsZero() && outer.Before(own) {
		return *outer
	}
	return own
}

func (c *conn) SetDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.read, c.write = t, t
	return c.Conn.SetDeadline(t)
}

func (c *conn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.read = t
	return c.Conn.SetReadDeadline(t)
}

func (c *conn) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.write = t
	return c.Conn.SetWriteDeadline(t)
}
