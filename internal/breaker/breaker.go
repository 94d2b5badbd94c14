// Package breaker is the circuit breaker of one signal type. It notices when the
// way of the messages is blocked, that is, when the broker or the database can't be
// reached or doesn't answer. Then commits leave their signals pending, and only one
// of them tries from time to time. A flush, which somebody asked for, tries at
// once, with a single row first.
//
//	closed ──[the third failure in a row]──> open <──[failure]──┐
//	   ^  ^                                  │                  │
//	   │  └───[any batch is answered]────────┤                  │
//	   │                                     └──[pause over]──> probing, by one commit
//	   └──────[answered]────────────────────────────────────────┘
//
// It also closes when no signal is left that waits for the way, because others have sent
// them: then nothing would be tried, and so nothing answered, until the next signal comes.
//
// The pause is at least as long as the attempt took. So commits spend at most half
// of their time on a broker that doesn't answer. The breaker also decides when an
// outage is logged, once per change: at once if the outage is certain, and when the
// breaker opens if senders only took too long.
package breaker

import (
	"sync"
	"time"

	"github.com/entsignal/signalbus/internal/backoff"
)

const (
	// freeFails is how many failures cause no pause, because a lost connection is often back
	// at once.
	freeFails = 2
	// forgetAfter is how long after the last failure a breaker closes that nothing waits for.
	// It is longer than the pauses of those who try.
	forgetAfter = time.Minute
)

// pauses are the pauses of autoflushes after further failures. The jitter prevents
// programs that lost the same broker from coming back at the same time.
func pauses() backoff.Doubling {
	return backoff.Doubling{Min: 100 * time.Millisecond, Max: 10 * time.Second, Jitter: 0.5}
}

// A Breaker is the breaker of one signal type. The zero value is closed. Its
// methods are safe for concurrent use.
type Breaker struct {
	mu      sync.Mutex
	since   time.Time // since when the way is blocked; zero if it isn't known to be
	fails   int       // in a row
	failed  time.Time // the last of them
	until   time.Time // the end of the pause
	probing bool      // a commit is trying whether the way is free again
}

// A Way is what a batch shows about the way of its messages.
type Way int

// What a batch may tell.
const (
	Unknown Way = iota // nothing was sent, and nothing kept it from being sent
	Free
	Blocked
	Silent // no answer in time
)

// Note notes the result of a batch and how long it took. It reports whether this is
// a change, and since when the way was blocked.
func (k *Breaker) Note(now time.Time, w Way, took time.Duration) (news bool, since time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	since = k.since
	switch w {
	case Blocked, Silent:
		k.fails++
		k.failed = now
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

// Forget closes the breaker if its last failure is long ago. It is called when no signal
// waits for the way. It reports whether this is a change, and since when the way was
// blocked.
func (k *Breaker) Forget(now time.Time) (news bool, since time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.fails == 0 || k.probing || now.Sub(k.failed) < forgetAfter {
		return false, k.since
	}
	since = k.since
	k.since, k.fails = time.Time{}, 0
	return !since.IsZero(), since
}

// An Admission is what an autoflush may do.
type Admission int

// What an autoflush may do.
const (
	Admitted        Admission = iota
	AdmittedToProbe           // and has to call EndProbe
	Refused                   // its signals stay pending
)

// Admit decides about an autoflush. When a pause is over, it admits one to probe.
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

// EndProbe ends a probe. Its batch has been noted before.
func (k *Breaker) EndProbe() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.probing = false
}

// IsOpen reports whether autoflushes send only probes.
func (k *Breaker) IsOpen() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.fails > freeFails
}

// Noticed reports whether the way is known to be blocked.
func (k *Breaker) Noticed() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return !k.since.IsZero()
}
