// Package breaker is the circuit breaker of one signal type. It knows whether the way
// of its messages is blocked: the broker, or the database, can't be reached, or
// doesn't answer. Then commits leave their signals pending, and only now and then one
// of them tries; a flush, which somebody asked for, tries at once, with a single row
// first.
//
//	closed ──[the third failure in a row]──> open <──[failure]──┐
//	   ^  ^                                  │                  │
//	   │  └───[any batch is answered]────────┤                  │
//	   │                                     └──[pause over]──> probing, by one commit
//	   └──────[answered]────────────────────────────────────────┘
//
// The pause is at least as long as the attempt took: so commits spend no more
// than half of their time on a broker that lets them wait. The breaker is also
// what decides when it is logged that the way is blocked, once for each change: at once if that
// is sure, and when it opens if senders only took too long.
package breaker

import (
	"sync"
	"time"

	"github.com/entsignal/signalbus/internal/backoff"
)

const (
	// freeFails is how many failures of the way cause no pause: a connection
	// that was lost is often back at once.
	freeFails = 2
)

// pauses are those of autoflushes after further failures. The jitter keeps programs
// that lost one broker from coming back together.
func pauses() backoff.Doubling {
	return backoff.Doubling{Min: 100 * time.Millisecond, Max: 10 * time.Second, Jitter: 0.5}
}

// A Breaker is the breaker of one signal type. The zero value is closed. Its methods
// may be called by several goroutines.
type Breaker struct {
	mu      sync.Mutex
	since   time.Time // zero: nobody has noticed a blocked way
	fails   int       // in a row
	until   time.Time // the end of the pause
	probing bool      // a commit tries whether the way is free again
}

// A Way is what a batch tells about the way of its messages.
type Way int

const (
	Unknown Way = iota // nothing was sent, and nothing kept it from being sent
	Free
	Blocked
	Silent // nobody has answered in time
)

// Note takes what a batch told that took so long. It reports whether that is
// news, and since when the way was blocked.
func (k *Breaker) Note(now time.Time, w Way, took time.Duration) (news bool, since time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	since = k.since
	switch w {
	case Blocked, Silent:
		k.fails++
		if k.fails > freeFails {
			k.until = now.Add(max(pauses().Pause(k.fails-freeFails-1), took))
		}
		if since.IsZero() && (w == Blocked || k.fails > freeFails) {
			k.since = now
			return true, since
		}
		return false, since
	case Free:
		k.since, k.fails = time.Time{}, 0
		return !since.IsZero(), since
	default:
		return false, since
	}
}

// An Admission is what an autoflush may do.
type Admission int

const (
	Admitted        Admission = iota
	AdmittedToProbe           // and has to call EndProbe
	Refused                   // its signals stay pending
)

// Admit decides about an autoflush. When a pause is over it lets one probe.
func (k *Breaker) Admit(now time.Time) Admission {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case k.fails <= freeFails:
		return Admitted
	case k.probing || now.Before(k.until):
		return Refused
	default:
		k.probing = true
		return AdmittedToProbe
	}
}

// EndProbe ends a probe, whose batch has told what came of it by Note.
func (k *Breaker) EndProbe() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.probing = false
}

// IsOpen reports whether only probes are sent by autoflushes.
func (k *Breaker) IsOpen() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.fails > freeFails
}

// Noticed reports whether the way was noticed to be blocked.
func (k *Breaker) Noticed() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return !k.since.IsZero()
}
