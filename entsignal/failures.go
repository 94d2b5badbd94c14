package entsignal

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// failures collects what goes wrong with the batches of one signal type in
// one flush, and decides when to give the type up.
type failures struct {
	mu    sync.Mutex
	errs  []error
	more  int
	over  bool
	trial trial
}

// add takes the result of a batch and reports whether to go on.
func (f *failures) add(sent int, err error) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err != nil {
		f.list(err)
		f.over = f.over || endsFlush(err)
	}
	if err == nil || sent > 0 || !isUndecodable(err) { // else no sender knows of it
		f.trial.note(time.Now(), sent, err)
	}
	return !f.ended()
}

// addUntried takes an error that says nothing about the sender or the database.
func (f *failures) addUntried(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.list(err)
}

func (f *failures) list(err error) {
	if len(f.errs) < maxListed {
		f.errs = append(f.errs, err)
	} else {
		f.more++
	}
}

// refused takes a call of the sender that failed, and reports whether to take
// its batch apart.
func (f *failures) refused(signals int) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.trial.refused(signals)
}

// stop ends the flush because of err, which a batch may have failed with.
func (f *failures) stop(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.over = true
	if !slices.ContainsFunc(f.errs, func(e error) bool { return errors.Is(e, err) }) {
		f.errs = append(f.errs, err)
	}
}

// goOn reports whether to begin another batch.
func (f *failures) goOn() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return !f.ended()
}

func (f *failures) ended() bool { return f.over || f.trial.phase == givenUp }

// probing reports whether the next batch should be a probe, and if not whether
// the sender is known to work.
func (f *failures) probing() (probe, works bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.trial.phase == probing, f.trial.works
}

// doubt makes the flush probe what it could not decide on.
func (f *failures) doubt() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.trial.doubt(time.Now(), nil)
}

// err returns what went wrong, or nil.
func (f *failures) err() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	errs := slices.Clone(f.errs)
	if f.more > 0 {
		errs = append(errs, fmt.Errorf("and %d batches more", f.more))
	}
	if f.trial.phase == givenUp && f.trial.probes > 0 {
		errs = append(errs, fmt.Errorf("given up: of %d batches in a row nothing was sent, the last %d of them single signals from all over the table", f.trial.batches, f.trial.probes))
	}
	if len(errs) == 1 {
		return errs[0]
	}
	return errors.Join(errs...)
}

// endsFlush reports whether err is about more than the rows of its batch. That
// a context has ended is no such error: it may be one of the sender's own.
func endsFlush(err error) bool {
	return IsUnavailable(err) || errors.Is(err, errStuck) || errors.Is(err, ErrClosed)
}
