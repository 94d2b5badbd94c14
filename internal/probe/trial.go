// Package probe decides how a flush continues when nothing can be sent and it is
// not known whether the rows or the sender are at fault.
//
//	           nothing was sent of 3 batches in a row, or by 50 calls
//	walking ──────────────────────────────────────────────────────────▶ probing
//	   ▲                                                                   │
//	   └──────────────────────── something was sent ───────────────────────┤
//	                                                                       │ the budget is used up,
//	                                                                       ▼ and nothing was sent
//	                                                                   given up
//
// A flush that walks takes the rows in their order. A flush that probes takes
// single rows from other places. If one of them is sent, the sender works and the
// rows before it are bad. The flush then walks on from where it was, and tries
// every row, with far more patience.
package probe

import (
	"context"
	"errors"
	"time"

	"github.com/entsignal/signalbus/internal/database"
)

// A Trial is what one flush knows about the sender of a signal type. It is not safe
// for concurrent use.
type Trial struct {
	single    bool
	probeTime time.Duration

	phase phase
	works bool // something was sent in this flush
	// Since something was sent:
	batches int // that failed
	late    int // of these, the last ones, because their time was over
	calls   int // of the sender
	// What happened since the phase began:
	probes int
	until  time.Time // when the probes have to end
}

// New returns the trial of a flush that may probe for probeTime.
func New(probeTime time.Duration) Trial { return Trial{probeTime: probeTime} }

// NewSingle returns the trial of a flush that has no other places to try. It gives
// up instead of probing.
func NewSingle() Trial { return Trial{single: true} }

// Works reports whether something was sent.
func (t *Trial) Works() bool { return t.works }

// Probing reports whether the next batch should be a probe.
func (t *Trial) Probing() bool { return t.phase == probing }

// GivenUp reports whether the flush should end, how many batches in a row have
// failed, and how many of them were probes.
func (t *Trial) GivenUp() (over bool, batches, probes int) {
	return t.phase == givenUp, t.batches, t.probes
}

// A phase is what a flush does at the moment.
type phase int

const (
	walking phase = iota
	probing
	givenUp
)

const (
	// maxStrikes is after how many batches in a row that failed as a whole a flush probes.
	maxStrikes = 3
	// maxDoubts is after how many failed calls of the sender a flush probes.
	maxDoubts = 50
	// MaxTries is how many calls in a row may fail if the sender isn't known to work.
	// LeastProbes takes precedence.
	MaxTries = 100
	// LeastProbes is the minimum number of probes.
	LeastProbes = 40
	// maxTrust is how many calls in a row may fail once the sender has sent something: far
	// more than there are bad rows in one place, but far less than a whole table.
	maxTrust = 20000
)

// Refused notes a call of the sender that failed for so many signals on their own.
// It reports whether to bisect the batch.
func (t *Trial) Refused(signals int) bool {
	t.calls += max(1, signals)
	return t.works || t.calls < maxDoubts
}

// Note notes the result of a batch.
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

// doubtful reports whether a flush that walks should start to probe.
func (t *Trial) doubtful(err error) bool {
	if t.works && !t.single {
		return max(t.batches, t.calls) >= maxTrust || t.late >= maxStrikes || t.batches >= maxStrikes && isBeyondRows(err)
	}
	return t.batches >= maxStrikes || t.calls >= maxDoubts
}

// Doubt makes a flush probe, or give up if probing can't help.
func (t *Trial) Doubt(now time.Time, err error) {
	if t.single || isBeyondRows(err) {
		t.phase = givenUp
		return
	}
	t.phase, t.probes, t.until = probing, 0, now.Add(t.probeTime)
}

// isBeyondRows reports whether err comes from the database and trying other rows is
// useless: the database can't be reached, or it can't delete what was sent, so that
// each further try would send a message that is repeated.
func isBeyondRows(err error) bool {
	return errors.As(err, new(*database.AwayError)) || errors.As(err, new(*database.NotDeletedError))
}
