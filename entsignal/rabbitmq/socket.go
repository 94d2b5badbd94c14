package rabbitmq

import (
	"net"
	"sync"
	"time"
)

// held is the maximum number of bytes that a socket buffers.
const held = 64 << 10

// socket ends writes that are stuck. Nothing in amqp091-go does: its context, its
// heartbeat and its Close all wait for the writer.
//
// While messages are published, it also combines small writes into a few large
// ones. amqp091-go writes each message separately, which took nearly half of the
// CPU time of publishing when measured.
type socket struct {
	net.Conn
	timeout time.Duration

	mu      sync.Mutex
	holders int
	buf     []byte // not written yet
}

func newSocket(c net.Conn, timeout time.Duration) *socket {
	return &socket{Conn: c, timeout: timeout}
}

// hold starts to buffer writes, until release.
func (s *socket) hold() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.holders++
	if s.buf == nil {
		s.buf = make([]byte, 0, held)
	}
}

// release ends a hold and writes the buffer. After an error, data that Write
// accepted is lost and the socket is closed.
func (s *socket) release() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.holders--
	return s.flush()
}

// Write implements net.Conn.
func (s *socket) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	holding := s.holders > 0
	if !holding || len(s.buf)+len(b) > cap(s.buf) {
		if err := s.flush(); err != nil {
			return 0, err
		}
	}
	if !holding || len(b) > cap(s.buf) {
		return s.write(b)
	}
	s.buf = append(s.buf, b...)
	return len(b), nil
}

func (s *socket) flush() error {
	if len(s.buf) == 0 {
		return nil
	}
	_, err := s.write(s.buf)
	s.buf = s.buf[:0]
	return err
}

func (s *socket) write(b []byte) (int, error) {
	if err := s.SetWriteDeadline(time.Now().Add(s.timeout)); err != nil {
		return 0, err
	}
	n, err := s.Conn.Write(b)
	if err != nil {
		// amqp091-go may keep a connection whose flush failed; closing makes
		// its reader end it.
		_ = s.Close()
	}
	return n, err
}
