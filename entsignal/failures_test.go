package entsignal

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestATypeIsGivenUpAfterThreeBatchesInARow(t *testing.T) {
	bad := errors.New("bad")
	var f failures
	assert.True(t, f.add(0, bad))
	assert.True(t, f.add(0, bad))
	assert.True(t, f.add(1, bad), "a part was sent")
	assert.True(t, f.add(0, bad))
	assert.True(t, f.add(0, bad))
	assert.True(t, f.add(5, nil))
	assert.True(t, f.add(0, bad))
	assert.True(t, f.add(0, bad))
	assert.False(t, f.add(0, bad))
	assert.False(t, f.goOn())
	require.ErrorIs(t, f.err(), bad)
	assert.ErrorContains(t, f.err(), "and 5 batches more")
}

func TestATypeIsGivenUpAtOnceWhenItIsNotAboutItsRows(t *testing.T) {
	for _, err := range []error{Unavailable(errors.New("x")), ErrClosed, errStuck} {
		var f failures
		assert.False(t, f.add(1, err), err)
	}
	var f failures
	assert.True(t, f.add(0, context.Canceled), "it may be a context of the sender's own")
	f.stop(context.Canceled)
	assert.False(t, f.goOn())
	assert.Equal(t, context.Canceled, f.err(), "said once")
}

func TestNoFailureIsNoError(t *testing.T) {
	var f failures
	assert.NoError(t, f.err())
}

func TestKeysAreGivenUpForTheDatabaseOnly(t *testing.T) {
	network := &net.OpError{Op: "dial", Err: errors.New("refused")}
	f := failures{patient: true}
	assert.True(t, f.add(0, network), "of a sender")
	assert.False(t, f.add(0, ofDatabase(context.Background(), network)))
}

func TestSerializationFailuresAreTriedAgainAfterGrowingPauses(t *testing.T) {
	var pauses []time.Duration
	for try := range serializationRetries {
		pauses = append(pauses, serializationBackoff(try)/time.Millisecond)
	}
	assert.Equal(t, []time.Duration{0, 100, 200, 400, 800, 1000, 1000, 1000, 1000, 1000, 1000}, pauses)
}
