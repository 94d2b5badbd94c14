// Package pace says how long the loop of a relay rests between two passes.
//
//	   ┌──────────────── full: at once ───────────────┐
//	   v                                              │
//	[pass] ──> some ───> rest of the least ───────────┤
//	   ^  ───> empty ──> twice the last one ──────────┤  up to the longest; a
//	   │  ───> busy ───> twice the last one ──────────┤  wake-up ends the rest
//	   │  ───> failed ─> twice the last one ──────────┤  but not its first part
//	   │  ───> away ───> twice the last one ──┐       │
//	   │                                      │       │
//	   └──────── the rest is over ────────────┴───────┘
//
// A pass that found rows, and one that a wake-up has brought, make the next rest
// short again. Only the rest after a failure of the way is never cut short: while
// a broker or a database is away, each commit would be another try.
package pace

import (
	"context"
	"time"
)

// Outcome is what came of a pass.
type Outcome int

// The outcomes of a pass.
const (
	Full   Outcome = iota // it sent a whole burst or more: there may be others
	Some                  // it sent less
	Empty                 // there was nothing
	Busy                  // another process is at it
	Failed                // signals failed, and others may not
	Away                  // the broker or the database can't be reached
)

// Limits are the shortest and the longest rest while all is well.
type Limits struct{ Least, Longest time.Duration }

const (
	// The rests after a failure.
	leastBackoff   = 500 * time.Millisecond
	longestBackoff = 30 * time.Second
	// The rests while another process has the turn, which it gives up without
	// telling anybody.
	leastBusy   = 100 * time.Millisecond
	longestBusy = time.Second
)

// A Rest is the time between two passes. A wake-up ends it from Fixed on.
type Rest struct{ Fixed, Longest time.Duration }

// Pace is the state of one loop. It is used by one goroutine.
type Pace struct {
	// Random returns a number from 0 to 1, by which processes that do the same
	// come apart.
	Random func() float64

	last Outcome
	next time.Duration // of the same outcome, before chance has its part
}

// After returns the rest after a pass. woken says that the pass was brought by a
// wake-up.
func (p *Pace) After(o Outcome, woken bool, l Limits) Rest {
	if o == Full {
		p.last = o
		return Rest{}
	}
	least, longest := l.Least, l.Longest
	switch o {
	case Busy:
		least, longest = min(leastBusy, longest), min(longestBusy, longest)
	case Failed:
		least, longest = min(leastBackoff, longest), max(longest, leastBackoff)
	case Away:
		least, longest = leastBackoff, longestBackoff
	}
	least = min(least, longest)
	if o != p.last || o == Some || woken && o != Away {
		p.next = least
	}
	d := min(max(p.next, least), longest)
	p.last, p.next = o, min(2*d, longest)
	switch o {
	case Away: // those that lost one broker must not come back together
		d -= time.Duration(p.Random() * float64(d) / 2)
		return Rest{Fixed: d, Longest: d}
	case Failed:
		d -= time.Duration(p.Random() * float64(d) / 5)
		return Rest{Fixed: min(d, leastBackoff), Longest: d}
	default:
		d -= time.Duration(p.Random() * float64(d) / 5)
		return Rest{Longest: d}
	}
}

// Wait waits until the rest is over, or wake delivers, or ctx ends. It reports
// whether it was woken.
func (r Rest) Wait(ctx context.Context, wake <-chan struct{}) (woken bool) {
	if r.Fixed > 0 {
		fixed := time.NewTimer(r.Fixed)
		defer fixed.Stop()
		select {
		case <-fixed.C:
		case <-ctx.Done():
			return false
		}
	}
	longest := time.NewTimer(r.Longest - r.Fixed)
	defer longest.Stop()
	select {
	case <-wake:
		return true
	default:
	}
	select {
	case <-wake:
		return true
	case <-longest.C:
		return false
	case <-ctx.Done():
		return false
	}
}
