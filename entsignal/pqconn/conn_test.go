package pqconn

import (
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// endless is a network that has always more.
type endless struct {
	net.Conn
	reads int
}

func (e *endless) Read(b []byte) (int, error) {
	e.reads++
	return len(b), nil
}

func (e *endless) SetReadDeadline(time.Time) error { return nil }

func TestSmallReadsAreOneOfTheNetwork(t *testing.T) {
	t.Parallel()
	network := &endless{}
	c := newConn(network, time.Minute)
	for range readBuffer / 1024 {
		_, err := io.ReadFull(c, make([]byte, 1024))
		require.NoError(t, err)
	}
	assert.Equal(t, 1, network.reads)
}
