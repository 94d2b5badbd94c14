package engine

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/internal/budget"
	"github.com/entsignal/signalbus/internal/probe"
)

// A tally collects what goes wrong with the batches of one signal type in
// one flush, and decides when to give the type up.
type tally struct {
	mu    sync.Mutex
	errs  []error
	more  int
	over  bool
	trial probe.Trial
}

func newTally(trial probe.Trial) *tally { return &tally{trial: trial} }

// maxListed bounds how many failures an error text spells out.
const maxListed = 3

// add takes the result of a batch and reports whether to go on.
func (t *tally) add(sent int, err error) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err != nil {
		t.list(err)
		t.over = t.over || endsFlush(err)
	}
	if err == nil || sent > 0 || !isUndecodable(err) { // else no sender knows of it
		t.trial.Note(time.Now(), sent, err)
	}
	return !t.ended()
}

// addUntried takes an error that says nothing about the sender or the database.
func (t *tally) addUntried(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.list(err)
}

func (t *tally) list(err error) {
	if len(t.errs) < maxListed {
		t.errs = append(t.errs, err)
	} else {
		t.more++
	}
}

// refused takes a call of the sender that failed, and reports whether to take
// its batch apart.
func (t *tally) refused(signals int) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.trial.Refused(signals)
}

// stop ends the flush because of err, which a batch may have failed with.
func (t *tally) stop(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.over = true
	if !slices.ContainsFunc(t.errs, func(e error) bool { return errors.Is(e, err) }) {
		t.errs = append(t.errs, err)
	}
}

// goOn reports whether to begin another batch.
func (t *tally) goOn() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return !t.ended()
}

func (t *tally) ended() bool {
	givenUp, _, _ := t.trial.GivenUp()
	return t.over || givenUp
}

// probing reports whether the next batch should be a probe, and if not whether
// the sender is known to work.
func (t *tally) probing() (probe, works bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.trial.Probing(), t.trial.Works()
}

// doubt makes the flush probe what it could not decide on.
func (t *tally) doubt() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.trial.Doubt(time.Now(), nil)
}

// err returns what went wrong, or nil.
func (t *tally) err() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	errs := slices.Clone(t.errs)
	if t.more > 0 {
		errs = append(errs, fmt.Errorf("and %d batches more", t.more))
	}
	if givenUp, batches, probes := t.trial.GivenUp(); givenUp && probes > 0 {
		errs = append(errs, fmt.Errorf("given up: of %d batches in a row nothing was sent, the last %d of them single signals from all over the table", batches, probes))
	}
	if len(errs) == 1 {
		return errs[0]
	}
	return errors.Join(errs...)
}

// endsFlush reports whether err is about more than the rows of its batch. That
// a context has ended is no such error: it may be one of the sender's own.
func endsFlush(err error) bool {
	return entsignal.IsUnavailable(err) || errors.Is(err, budget.ErrStuck) || errors.Is(err, entsignal.ErrClosed)
}
