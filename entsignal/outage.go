package entsignal

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	dbdialect "github.com/entsignal/signalbus/entsignal/internal/dialect"
)

const (
	// freeFails is how many failures of the way cause no pause: a connection
	// that was lost is often back at once.
	freeFails = 2
	// The pauses of autoflushes after further failures, doubled each time.
	minOutagePause = 100 * time.Millisecond
	maxOutagePause = 10 * time.Second
)

// outage knows whether the way of one signal type is blocked: its broker, or
// the database, can't be reached. Then commits leave their signals pending, and
// only now and then one of them tries; a flush, which somebody asked for, tries
// with a single row first. It is the one to say so, once for each change.
type outage struct {
	mu      sync.Mutex
	since   time.Time // zero: the way is free
	fails   int       // in a row
	until   time.Time // the end of the pause
	probing bool      // an autoflush tries whether the way is free again
}

// A way is what a batch tells about the way of its messages.
type way int

const (
	wayUnknown way = iota // nothing was sent, and nothing kept it from being sent
	wayFree
	wayBlocked
)

// note takes what a batch told. It reports whether that is news, and since
// when the way was blocked.
func (o *outage) note(now time.Time, w way) (news bool, since time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.probing = false
	since = o.since
	switch w {
	case wayBlocked:
		o.fails++
		if o.fails > freeFails {
			o.until = now.Add(outagePause(o.fails-freeFails-1, rand.Float64()))
		}
		if since.IsZero() {
			o.since = now
		}
		return since.IsZero(), since
	case wayFree:
		o.since, o.fails = time.Time{}, 0
		return !since.IsZero(), since
	default:
		return false, since
	}
}

// outagePause returns the pause after so many earlier ones: doubled each time,
// less a random part of up to a half, so that programs that lost one broker
// don't come back together. random is from 0 to 1.
func outagePause(before int, random float64) time.Duration {
	d := min(minOutagePause<<min(before, 16), maxOutagePause)
	return d - time.Duration(random*float64(d)/2)
}

// holds reports whether an autoflush should leave its signals pending. When a
// pause is over it lets one through, until that has told its result by note.
func (o *outage) holds(now time.Time) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.fails <= freeFails {
		return false
	}
	if o.probing || now.Before(o.until) {
		return true
	}
	o.probing = true
	return false
}

// on reports whether the way is blocked.
func (o *outage) on() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return !o.since.IsZero()
}

// noteBatch tells the outage of a signal type what came of a batch, and logs
// a change.
func (b *Bus) noteBatch(ctx context.Context, t signalType, d batch, err error) {
	w := wayOf(ctx, d, err)
	news, since := t.outage.note(time.Now(), w)
	switch {
	case !news:
	case w == wayBlocked:
		b.log.WarnContext(ctx, "broker or database is away, signals stay pending", slog.String("signal", t.Name), slog.Any("error", err))
	default:
		b.log.InfoContext(ctx, "broker and database are back, signals are sent again", slog.String("signal", t.Name),
			slog.String("away_for", time.Since(since).Round(time.Millisecond).String()))
	}
}

func wayOf(ctx context.Context, d batch, err error) way {
	switch {
	case IsUnavailable(err):
		return wayBlocked
	case errors.Is(err, errStuck), ctx.Err() != nil: // a claim that is stuck still owns its batch
		return wayUnknown
	case d.started(): // sent, or refused by somebody who is there
		return wayFree
	case dbdialect.IsUnavailable(err):
		return wayBlocked
	default:
		return wayUnknown
	}
}
