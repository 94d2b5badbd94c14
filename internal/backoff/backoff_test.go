package backoff

import (
	"context"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestPausesDoubleUpToTheLongest(t *testing.T) {
	d := Doubling{Min: 100 * time.Millisecond, Max: time.Second}
	var pauses []time.Duration
	for before := range 6 {
		pauses = append(pauses, d.Pause(before))
	}
	const ms = time.Millisecond
	assert.Equal(t, []time.Duration{100 * ms, 200 * ms, 400 * ms, 800 * ms, time.Second, time.Second}, pauses)
	assert.Equal(t, time.Second, d.Pause(math.MaxInt))
	assert.Zero(t, Doubling{Max: time.Second}.Pause(math.MaxInt), "twice nothing is nothing")
	assert.Equal(t, time.Second, Doubling{Min: time.Minute, Max: time.Second}.Pause(0))
	assert.Equal(t, time.Duration(math.MaxInt64), Doubling{Min: 1, Max: math.MaxInt64}.Pause(200))
}

func TestJitterTakesUpToItsPartOff(t *testing.T) {
	d := Doubling{Min: time.Second, Max: time.Minute, Jitter: 0.5}
	assert.Equal(t, 4*time.Second, d.pause(2, 0))
	assert.Equal(t, 3*time.Second, d.pause(2, 0.5))
	assert.Equal(t, 2*time.Second, d.pause(2, 1))
}

func TestWaitEndsEarlyWithTheContextAndWithTheChannel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		assert.True(t, Wait(t.Context(), time.Hour, nil))
		assert.Equal(t, time.Hour, time.Since(began))

		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		assert.False(t, Wait(ctx, time.Hour, nil))
		assert.Equal(t, time.Hour+time.Minute, time.Since(began))

		closed := make(chan struct{})
		close(closed)
		assert.False(t, Wait(t.Context(), time.Hour, closed))
		assert.Equal(t, time.Hour+time.Minute, time.Since(began))
	})
}
