package entsignal

import (
	"errors"
	"fmt"
	"slices"
	"sync"
)

// maxStrikes is how many batches in a row may fail as a whole before a flush
// gives a signal type up: by then it's not about single rows.
const maxStrikes = 3

// failures collects what goes wrong with the batches of one signal type in
// one flush, and decides when to give the type up.
type failures struct {
	mu      sync.Mutex
	errs    []error
	more    int
	strikes int
	// patient: batches that fail in a row don't end the flush, unless it's for
	// the database.
	patient bool
	over    bool
}

// add takes the result of a batch and reports whether to go on.
func (f *failures) add(sent int, err error) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err == nil || sent > 0 {
		f.strikes = 0
	}
	if err != nil {
		if sent == 0 {
			f.strikes++
		}
		if len(f.errs) < maxListed {
			f.errs = append(f.errs, err)
		} else {
			f.more++
		}
		tooMany := f.strikes == maxStrikes
		if f.patient {
			tooMany = errors.As(err, new(*awayError))
		}
		if tooMany || endsFlush(err) {
			f.over = true
		}
	}
	return !f.over
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
	return !f.over
}

// err returns what went wrong, or nil.
func (f *failures) err() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	errs := f.errs
	if f.more > 0 {
		errs = append(errs, fmt.Errorf("and %d batches more", f.more))
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
