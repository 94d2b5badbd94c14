// Package backoff has the pauses between tries.
package backoff

import (
	"context"
	"math/rand/v2"
	"time"
)

// Doubling is a row of pauses: Min, and twice as long each time, up to Max.
type Doubling struct {
	Min, Max time.Duration
	// Jitter is the part of a pause, from 0 to 1, of which a random share is taken
	// off: so what failed together doesn't come back together.
	Jitter float64
}

// Pause returns the pause that comes after so many others.
func (d Doubling) Pause(before int) time.Duration { return d.pause(before, rand.Float64()) }

// pause is Pause of a random number from 0 to 1.
func (d Doubling) pause(before int, random float64) time.Duration {
	pause := min(d.Min, d.Max)
	for range before {
		if pause > d.Max/2 { // twice as long may be more than fits
			pause = d.Max
			break
		}
		pause *= 2
		if pause == 0 {
			break
		}
	}
	return pause - time.Duration(random*d.Jitter*float64(pause))
}

// Wait waits for d. It reports false if ctx ended, or closed was closed, before
// that; a nil closed never is.
func Wait(ctx context.Context, d time.Duration, closed <-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	case <-closed:
		return false
	}
}
