// Package probe decides how a flush goes on when nothing can be sent, for as long as
// it doesn't know whether that is about the rows or about the sender.
//
//	           nothing was sent of 3 batches in a row, or by 50 calls
//	walking ──────────────────────────────────────────────────────────▶ probing
//	   ▲                                                                   │
//	   └──────────────────────── something was sent ───────────────────────┤
//	                                                                       │ the budget is used up,
//	                                                                       ▼ and nothing was sent
//	                                                                   given up
//
// A flush that walks takes the rows in their order. One that probes takes single
// rows from other places. If one of them is sent, the sender works and the rows
// before it are bad: the flush walks on where it was, and takes every row that
// comes, with far more patience.
package probe

import (
	"context"
	"errors"
	"time"

	"github.com/entsignal/signalbus/internal/database"
)

// A Trial is what one flush knows of the sender of a signal type. It is not safe for
// concurrent use.
type Trial struct {
	single    bool
	probeTime time.Duration

	phase phase
	works bool // something was sent in this flush
	// What happened since something was sent:
	batches int // that failed
	late    int // of these, the last ones, because their time was over
	calls   int // of the sender
	// What happened since the phase began:
	probes int
	until  time.Time // when the probes have to end
}

// New returns the trial of a flush whose probes may take so long.
func New(probeTime time.Duration) Trial { return Trial{probeTime: probeTime} }

// NewSingle returns the trial of a flush that has no other places to look at: it gives
// up in place of probing.
func NewSingle() Trial { return Trial{single: true} }

// Works reports whether something was sent.
func (t *Trial) Works() bool { return t.works }

// Probing reports whether the next batch should be a probe.
func (t *Trial) Probing() bool { return t.phase == probing }

// GivenUp reports whether the flush should end, how many batches in a row have failed
// by then, and how many of them were probes.
func (t *Trial) GivenUp() (over bool, batches, probes int) {
	return t.phase == givenUp, t.batches, t.probes
}

// A phase is what a flush does.
type phase int

const (
	walking phase = iota
	probing
	givenUp
)

const (
	// maxStrikes is how many batches in a row may fail as a whole before a
	// flush looks elsewhere.
	maxStrikes = 3
	// maxDoubts is how many calls of the sender may fail before that.
	maxDoubts = 50
	// MaxTries is how many calls of a sender of which nothing is known may
	// fail in a row, but for LeastProbes.
	MaxTries = 100
	// LeastProbes is how many probes there are in any case.
	LeastProbes = 40
	// maxTrust is how many calls may fail in a row once the sender has sent
	// something: many more than bad rows in one place, and yet no table.
	maxTrust = 20000
)

// Refused takes a call of the sender that failed for so many signals, each on
// its own. It reports whether it is worth while to take the batch apart.
func (t *Trial) Refused(signals int) bool {
	t.calls += max(1, signals)
	return t.works || t.calls < maxDoubts
}

// Note takes the result of a batch.
func (t *Trial) Note(now time.Time, sent int, err error) {
	if sent > 0 {
		*t = Trial{single: t.single, probeTime: t.probeTime, works: true}
		return
	}
	if err != nil {
		t.batches++
		t.late++
		if !errors.Is(err, context.DeadlineExceeded) {
			t.late = 0
		}
	}
	switch t.phase {
	case walking:
		if t.doubtful(err) {
			t.Doubt(now, err)
		}
	case probing:
		t.probes++
		switch {
		case isBeyondRows(err), t.probes >= MaxTries,
			t.probes >= LeastProbes && max(t.calls, t.batches) >= MaxTries,
			t.probes >= maxStrikes && now.After(t.until):
			t.phase = givenUp
		}
	}
}

// doubtful reports whether a flush that walks should look elsewhere.
func (t *Trial) doubtful(err error) bool {
	if t.works && !t.single {
		return max(t.batches, t.calls) >= maxTrust || t.late >= maxStrikes || t.batches >= maxStrikes && isBeyondRows(err)
	}
	return t.batches >= maxStrikes || t.calls >= maxDoubts
}

// Doubt makes a flush probe, or give up where that can't help.
func (t *Trial) Doubt(now time.Time, err error) {
	if t.single || isBeyondRows(err) {
		t.phase = givenUp
		return
	}
	t.phase, t.probes, t.until = probing, 0, now.Add(t.probeTime)
}

// isBeyondRows reports whether err is one of the database, after which other
// rows need no try: it can't be reached, or deletes nothing that was sent, and
// then each try is a message that repeats.
func isBeyondRows(err error) bool {
	return errors.As(err, new(*database.AwayError)) || errors.As(err, new(*database.NotDeletedError))
}
