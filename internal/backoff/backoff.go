// Package backoff provides the pauses between tries.
package backoff

import (
	"context"
	"math/rand/v2"
	"time"
)

// Doubling is a series of pauses: Min, then twice as long each time, up to Max.
type Doubling struct {
	Min, Max time.Duration
	// Jitter is the part of a pause, from 0 to 1, from which a random share is subtracted,
	// so that tries that failed together are not repeated together.
	Jitter float64
}

// Pause returns the pause after before earlier ones.
func (d Doubling) Pause(before int) time.Duration { return d.pause(before, rand.Float64()) }

// pause is Pause with a random number from 0 to 1.
func (d Doubling) pause(before int, random float64) time.Duration {
	pause := min(d.Min, d.Max)
	for range before {
		if pause > d.Max/2 { // doubling it may overflow
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

// Wait waits for d. It returns false if ctx ends or closed is closed first. closed
// may be nil.
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
