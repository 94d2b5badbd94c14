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

// A tally collects the failures of the batches of one signal type in one flush, and
// decides when to give up the type.
type tally struct {
	mu    sync.Mutex
	errs  []error
	more  int
	over  bool
	trial probe.Trial
}

func newTally(trial probe.Trial) *tally { return &tally{trial: trial} }

// maxListed is how many failures an error text lists.
const maxListed = 3

// add adds the result of a batch and reports whether to continue.
func (t *tally) add(sent int, err error) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err != nil {
		t.list(err)
		t.over = t.over || endsFlush(err)
	}
	if err == nil || sent > 0 || !isUndecodable(err) { // otherwise the sender wasn't called
		t.trial.Note(time.Now(), sent, err)
	}
	return !t.ended()
}

// addUntried adds an error that says nothing about the sender or the database.
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

// refused notes a failed call of the sender, and reports whether to bisect its
// batch.
func (t *tally) refused(signals int) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.trial.Refused(signals)
}

// stop ends the flush because of err. A batch may have failed with err before.
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

// probing reports whether the next batch should be a probe, and otherwise whether
// the sender is known to work.
func (t *tally) probing() (probe, works bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.trial.Probing(), t.trial.Works()
}

// doubt makes the flush probe the rows that it could not decide on.
func (t *tally) doubt() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.trial.Doubt(time.Now(), nil)
}

// err returns the failures, or nil.
func (t *tally) err() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	errs := slices.Clone(t.errs)
	if t.more > 0 {
		errs = append(errs, fmt.Errorf("and %d batches more", t.more))
	}
	if givenUp, batches, probes := t.trial.GivenUp(); givenUp && probes > 0 {
		errs = append(errs, fmt.Errorf("given up: nothing was sent in %d batches in a row, of which the last %d were single signals from all over the table", batches, probes))
	}
	if len(errs) == 1 {
		return errs[0]
	}
	return errors.Join(errs...)
}

// endsFlush reports whether err is about more than the rows of its batch. The end
// of a context isn't such an error, because it may be a context of the sender.
func endsFlush(err error) bool {
	return entsignal.IsUnavailable(err) || errors.Is(err, budget.ErrStuck) || errors.Is(err, entsignal.ErrClosed)
}
