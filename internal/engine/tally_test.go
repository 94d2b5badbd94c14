package engine

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/internal/budget"
	"github.com/entsignal/signalbus/internal/probe"
)

func TestFailuresOfAFlushAreListedAndThenCounted(t *testing.T) {
	bad := errors.New("bad")
	f := newTally(probe.NewSingle())
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
	for _, err := range []error{entsignal.Unavailable(errors.New("x")), entsignal.ErrClosed, budget.ErrStuck} {
		f := newTally(probe.New(0))
		assert.False(t, f.add(1, err), err)
	}
	f := newTally(probe.New(0))
	assert.True(t, f.add(0, context.Canceled), "it may be a context of the sender's own")
	f.stop(context.Canceled)
	assert.False(t, f.goOn())
	assert.Equal(t, context.Canceled, f.err(), "listed once")
}

func TestNoFailureIsNoError(t *testing.T) {
	f := newTally(probe.New(0))
	assert.NoError(t, f.err())
}

func TestSerializationFailuresAreTriedAgainAfterGrowingPauses(t *testing.T) {
	var pauses []time.Duration
	for try := range serializationRetries {
		pauses = append(pauses, serializationBackoff(try)/time.Millisecond)
	}
	assert.Equal(t, []time.Duration{0, 100, 200, 400, 800, 1000, 1000, 1000, 1000, 1000, 1000}, pauses)
}
