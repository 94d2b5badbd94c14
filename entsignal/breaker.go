package entsignal

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/entsignal/signalbus/internal/database"
)

const (
	// freeFails is how many failures of the way cause no pause: a connection
	// that was lost is often back at once.
	freeFails = 2
	// The pauses of autoflushes after further failures, doubled each time.
	minBreakerPause = 100 * time.Millisecond
	maxBreakerPause = 10 * time.Second
)

// A breaker is the circuit breaker of one signal type. It knows whether the way
// of its messages is blocked: the broker, or the database, can't be reached, or
// doesn't answer. Then commits leave their signals pending, and only now and
// then one of them tries; a flush, which somebody asked for, tries at once, with
// a single row first.
//
//	closed ──[the third failure in a row]──> open <──[failure]──┐
//	   ^  ^                                  │                  │
//	   │  └───[any batch is answered]────────┤                  │
//	   │                                     └──[pause over]──> probing, by one commit
//	   └──────[answered]────────────────────────────────────────┘
//
// The pause is at least as long as the attempt took: so commits spend no more
// than half of their time on a broker that lets them wait. The breaker is also
// the one to log that the way is blocked, once for each change: at once if that
// is sure, and when it opens if senders only took too long.
type breaker struct {
	mu      sync.Mutex
	since   time.Time // zero: nobody has noticed a blocked way
	fails   int       // in a row
	until   time.Time // the end of the pause
	probing bool      // a commit tries whether the way is free again
}

// A way is what a batch tells about the way of its messages.
type way int

const (
	wayUnknown way = iota // nothing was sent, and nothing kept it from being sent
	wayFree
	wayBlocked
	waySilent // nobody has answered in time
)

// note takes what a batch told that took so long. It reports whether that is
// news, and since when the way was blocked.
func (k *breaker) note(now time.Time, w way, took time.Duration) (news bool, since time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	since = k.since
	switch w {
	case wayBlocked, waySilent:
		k.fails++
		if k.fails > freeFails {
			k.until = now.Add(max(breakerPause(k.fails-freeFails-1, rand.Float64()), took))
		}
		if since.IsZero() && (w == wayBlocked || k.fails > freeFails) {
			k.since = now
			return true, since
		}
		return false, since
	case wayFree:
		k.since, k.fails = time.Time{}, 0
		return !since.IsZero(), since
	default:
		return false, since
	}
}

// breakerPause returns the pause after so many earlier ones: doubled each time,
// less a random part of up to a half, so that programs that lost one broker
// don't come back together. random is from 0 to 1.
func breakerPause(before int, random float64) time.Duration {
	d := min(minBreakerPause<<min(before, 16), maxBreakerPause)
	return d - time.Duration(random*float64(d)/2)
}

// An admission is what an autoflush may do.
type admission int

const (
	admitted        admission = iota
	admittedToProbe           // and has to call endProbe
	refused                   // its signals stay pending
)

// admit decides about an autoflush. When a pause is over it lets one probe.
func (k *breaker) admit(now time.Time) admission {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case k.fails <= freeFails:
		return admitted
	case k.probing || now.Before(k.until):
		return refused
	default:
		k.probing = true
		return admittedToProbe
	}
}

// endProbe ends a probe, whose batch has told what came of it by note.
func (k *breaker) endProbe() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.probing = false
}

// isOpen reports whether only probes are sent by autoflushes.
func (k *breaker) isOpen() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.fails > freeFails
}

// noticed reports whether the way was noticed to be blocked.
func (k *breaker) noticed() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return !k.since.IsZero()
}

// noteBatch tells the breaker of a signal type what came of a batch, and logs
// a change.
func (b *Bus) noteBatch(ctx context.Context, t signalType, w way, took time.Duration, err error) {
	news, since := t.breaker.note(time.Now(), w, took)
	switch {
	case !news:
	case w == wayFree:
		b.log.InfoContext(ctx, "broker and database are back, signals are sent again", slog.String("signal", t.Name),
			slog.String("away_for", time.Since(since).Round(time.Millisecond).String()))
	default:
		b.log.WarnContext(ctx, "broker or database is away, signals stay pending", slog.String("signal", t.Name), slog.Any("error", err))
	}
}

// wayOf returns what a batch tells of which n signals were sent. ctx is that of
// the batch.
func wayOf(ctx context.Context, d batch, n int, err error) way {
	switch {
	case IsUnavailable(err):
		return wayBlocked
	case errors.Is(err, errStuck): // such a claim still owns its batch
		return waySilent
	case d.started() && (n > 0 || ctx.Err() == nil): // sent, or refused by somebody who is there
		return wayFree
	case d.started():
		return waySilent
	case ctx.Err() == nil && database.IsUnavailable(err):
		return wayBlocked
	default:
		return wayUnknown
	}
}
