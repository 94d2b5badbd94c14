package pqconn

import (
	"encoding/binary"
	"io"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// pooler passes on what a client of PostgreSQL sends, but answers each empty query
// itself, with an error after which the connection stays: as a pooler does that has no
// server to ask.
type pooler struct {
	refused atomic.Int64 // empty queries
}

// newPooler returns a pooler before the server of dsn, and a DSN that leads to it.
func newPooler(t *testing.T, dsn string) (*pooler, string) {
	t.Helper()
	u, err := url.Parse(dsn)
	require.NoError(t, err)
	server := u.Host
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &pooler{}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { p.serve(client, server) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		all.Wait()
	})
	u.Host = l.Addr().String()
	return p, u.String()
}

// serve passes on one connection until either end closes it.
func (p *pooler) serve(client net.Conn, address string) {
	defer client.Close()
	server, err := net.Dial("tcp", address)
	if err != nil {
		return
	}
	var answers sync.WaitGroup
	answers.Go(func() {
		_, _ = io.Copy(client, server)
		_ = client.Close()
	})
	defer answers.Wait()
	defer server.Close()
	started := false // the first message has no type
	for {
		message, err := readMessage(client, started)
		if err != nil {
			return
		}
		if started && message[0] == 'Q' && len(message) == 6 {
			p.refused.Add(1)
			_, err = client.Write(refusal())
		} else {
			_, err = server.Write(message)
		}
		if err != nil {
			return
		}
		started = true
	}
}

func readMessage(from io.Reader, typed bool) ([]byte, error) {
	head := make([]byte, 4, 5)
	if typed {
		head = head[:5]
	}
	if _, err := io.ReadFull(from, head); err != nil {
		return nil, err
	}
	message := append(head, make([]byte, binary.BigEndian.Uint32(head[len(head)-4:])-4)...)
	_, err := io.ReadFull(from, message[len(head):])
	return message, err
}

// refusal is an ErrorResponse, and that the next query may come.
func refusal() []byte {
	fields := "SERROR\x00C58000\x00Mno server is free\x00\x00"
	b := binary.BigEndian.AppendUint32([]byte{'E'}, uint32(4+len(fields)))
	return append(append(b, fields...), 'Z', 0, 0, 0, 5, 'I')
}

func TestPoolerThatAnswersAPingWithAnErrorEndsNoProcess(t *testing.T) {
	t.Parallel()
	dsn := newSchema(t)
	p, pooled := newPooler(t, dsn)
	woken, _ := listening(t, newWakeUp(t, pooled, WithTimeout(3*time.Second)))
	assert.Nil(t, next(t, woken))
	require.Eventually(t, func() bool { return p.refused.Load() >= 2 }, 30*time.Second, time.Millisecond)
	require.NoError(t, newWakeUp(t, dsn).Notify(within(t, time.Minute), []string{"A"}))
	assert.Equal(t, []string{"A"}, nextNamed(t, woken))
}
