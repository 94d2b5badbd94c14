package entsignal

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestFailuresOfAFlushAreListedAndThenCounted(t *testing.T) {
	bad := errors.New("bad")
	f := failures{trial: trial{single: true}}
	for range 2 {
		assert.True(t, f.add(0, bad))
		assert.True(t, f.add(0, bad))
		assert.True(t, f.add(1, bad), "a part was sent")
	}
	assert.True(t, f.add(0, bad))
	assert.True(t, f.add(0, bad))
	assert.False(t, f.add(0, bad))
	assert.False(t, f.goOn())
	require.ErrorIs(t, f.err(), bad)
	assert.ErrorContains(t, f.err(), "and 6 batches more")
	assert.NotContains(t, f.err().Error(), "given up", "it looked nowhere else")
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

func TestSerializationFailuresAreTriedAgainAfterGrowingPauses(t *testing.T) {
	var pauses []time.Duration
	for try := range serializationRetries {
		pauses = append(pauses, serializationBackoff(try)/time.Millisecond)
	}
	assert.Equal(t, []time.Duration{0, 100, 200, 400, 800, 1000, 1000, 1000, 1000, 1000, 1000}, pauses)
}
