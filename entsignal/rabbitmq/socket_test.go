package rabbitmq

import (
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// countingConn keeps what each write to it was.
type countingConn struct {
	net.Conn
	writes []string
}

func (c *countingConn) Write(b []byte) (int, error) {
	c.writes = append(c.writes, string(b))
	return len(b), nil
}

func (c *countingConn) SetWriteDeadline(time.Time) error { return nil }

func TestSocketHoldsSmallWritesBackWhileItIsAskedTo(t *testing.T) {
	t.Parallel()
	conn := &countingConn{}
	s := newSocket(conn, time.Second)
	write := func(text string) {
		n, err := s.Write([]byte(text))
		require.NoError(t, err)
		require.Equal(t, len(text), n)
	}
	write("a")
	s.hold()
	s.hold()
	write("b")
	write("c")
	assert.Equal(t, []string{"a"}, conn.writes)
	require.NoError(t, s.release())
	assert.Equal(t, []string{"a", "bc"}, conn.writes)
	write("d")
	large := string(make([]byte, held+1))
	write(large)
	assert.Equal(t, []string{"a", "bc", "d", large}, conn.writes, "in order, and a large one at once")
	write("e")
	require.NoError(t, s.release())
	write("f")
	assert.Equal(t, []string{"a", "bc", "d", large, "e", "f"}, conn.writes)
}
