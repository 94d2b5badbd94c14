// Package bisect finds the signals of a batch that a sender can't send, so that the
// others are sent.
//
// If a sender fails for a batch without reporting which signals are at fault, it is
// called again with one half of the batch and then with the other, down to single
// signals. All of that happens within one claim, so that no other flush can come
// between. One bad signal of n takes about 2·log2(n) calls.
//
//	          fails, which says nothing of single signals
//	   ┌──────────────────────────────────────────────────┐
//	   ▼                                                  │
//	send a part ──sent──────────────▶ next part           │ halve it, first half next
//	   │  └───────fails──────────────▶ more than one? ─yes┘
//	   │                                  │ no
//	   │ Unavailable, the end of ctx,     ▼
//	   │ outcomes of the wrong number   this signal is at fault ──▶ next part, or given up
//	   ▼
//	nothing else is tried
//
// A sender that fails for everything, for a reason that isn't marked as
// Unavailable, would be called 2n times. So as long as nothing of the batch was
// sent, the search moves to the largest remaining part after each pair of signals
// that failed alone. After six such signals the batch is given up: about 3·log2(n)
// calls. This is wrong only if three pairs of neighbours in three places are bad,
// and each part that was tried had a bad signal too. Once something was sent, the
// sender is known to work, and the search continues to its end or to the end of the
// claim's time.
//
// An ordered batch is halved from its head, and the search stops at the first
// signal that fails alone.
package bisect

import (
	"context"
	"errors"
	"fmt"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/internal/foreign"
	"github.com/entsignal/signalbus/internal/mark"
)

const (
	// pair is how many signals may fail alone in one place.
	pair = 2
	// lastAlone is how many signals may fail alone before anything was sent.
	lastAlone = 3 * pair
)

// A Batch is signals to send, first as a whole.
type Batch struct {
	// Send gives a part of the batch to the sender.
	Send func(context.Context, Span) error
	// Stopped returns why nothing else should be sent, or nil. It is asked before
	// each call but the first.
	Stopped func(context.Context) error
	// Ended returns the error of a context that has ended, or nil. The sender may
	// know other contexts than the one that it is called with.
	Ended func(context.Context) error
	// Refused, if set, takes each call that failed, for so many signals on their
	// own, and reports whether to call the sender for parts of the batch.
	Refused func(signals int) bool
	// Ordered stops at the first signal that fails.
	Ordered bool
}

// A Result is what became of a batch.
type Result struct {
	Outcomes []Outcome // one for each signal
	Sent     int       // how many were sent
	Whole    error     // an error about the batch and not about signals
}

// An Outcome is what became of one signal.
type Outcome struct {
	Err error // nil: sent
	Own bool  // the error is about this very signal
}

// A Span is a part of a batch, by the indexes of its signals: To is the one behind
// the last.
type Span struct{ From, To int }

// Len returns the number of signals.
func (s Span) Len() int { return s.To - s.From }

// Run sends as many of the n signals as possible.
func (b Batch) Run(ctx context.Context, n int) Result {
	s := search{Batch: b, Result: Result{Outcomes: make([]Outcome, n)}, left: []Span{{0, n}}}
	s.run(ctx)
	return s.Result
}

// A search is a batch that is being sent.
type search struct {
	Batch
	Result
	left  []Span // what is still to be tried; the last comes first
	alone int    // how many signals failed alone before anything was sent
	first error  // what the first call failed with
}

// run tries part after part. Afterwards each signal has an outcome.
func (s *search) run(ctx context.Context) {
	for len(s.left) > 0 {
		if s.first != nil {
			if err := s.Stopped(ctx); err != nil {
				s.leave(fmt.Errorf("%w before it was tried alone; it failed together with others: %w", err, s.first))
				return
			}
		}
		part := s.left[len(s.left)-1]
		s.left = s.left[:len(s.left)-1]
		err := s.Send(ctx, part)
		if err == nil {
			s.Sent += part.Len()
			continue
		}
		if s.first == nil {
			s.first = err
		}
		rest := s.fail(ctx, part, err)
		if s.Refused != nil && !s.Refused(s.own(part)) && rest == nil && s.Sent == 0 && len(s.left) > 0 {
			rest = s.giveUp()
		}
		if rest != nil {
			s.leave(rest)
			return
		}
	}
}

// fail notes the error of a part. If nothing else should be sent, it returns the
// error for the rest.
func (s *search) fail(ctx context.Context, part Span, err error) (rest error) {
	ended := s.Ended(ctx)
	some, marked := partlySent(err)
	switch {
	case some != nil && len(some.Errors) == part.Len():
		return s.failPartly(part, some.Errors, marked, ended)
	case some != nil: // a sender that is wrong about more than its signals
		rest = entsignal.ErrNotTried
	case ended != nil:
		rest = ended
	case entsignal.IsUnavailable(err):
		rest = entsignal.Unavailable(entsignal.ErrNotTried)
	case part.Len() == 1:
		s.Outcomes[part.From] = Outcome{Err: err, Own: !errors.Is(err, entsignal.ErrNotTried)}
		return s.failedAlone()
	default:
		half := part.From + part.Len()/2
		s.left = append(s.left, Span{half, part.To}, Span{part.From, half})
		return nil
	}
	if part.Len() == len(s.Outcomes) {
		s.Whole = err
	}
	s.failAll(part, err)
	return rest
}

// failPartly notes the errors of a part for which the sender reported each signal.
func (s *search) failPartly(part Span, errs []error, marked func(error) error, ended error) (rest error) {
	failed := false
	for i, err := range errs {
		if err == nil {
			s.Sent++
			continue
		}
		failed = true
		err = marked(err)
		o := Outcome{Err: err, Own: !entsignal.IsUnavailable(err) && !errors.Is(err, entsignal.ErrNotTried)}
		switch {
		case ended != nil:
			rest = ended
			o.Own = o.Own && !isContextError(err)
		case entsignal.IsUnavailable(err):
			rest = entsignal.Unavailable(entsignal.ErrNotTried)
		}
		s.Outcomes[part.From+i] = o
	}
	if failed && s.Ordered && rest == nil {
		rest = entsignal.ErrNotTried
	}
	return rest
}

// failedAlone decides how to continue after a single signal has failed.
func (s *search) failedAlone() (rest error) {
	switch {
	case s.Ordered:
		return entsignal.ErrNotTried
	case s.Sent > 0 || len(s.left) == 0:
		return nil
	}
	s.alone++
	switch {
	case s.alone == lastAlone:
		return s.giveUp()
	case s.alone%pair == 0:
		s.toLargest()
	}
	return nil
}

// giveUp gives up the batch, and returns the error for the rest.
func (s *search) giveUp() error {
	s.Whole = fmt.Errorf("given up: none of %d signals was sent, not even those that were tried alone: %w", len(s.Outcomes), s.first)
	return entsignal.ErrNotTried
}

// own returns how many signals of a part failed on their own.
func (s *search) own(part Span) (n int) {
	for _, o := range s.Outcomes[part.From:part.To] {
		if o.Own {
			n++
		}
	}
	return n
}

// toLargest makes the largest remaining part the next one.
func (s *search) toLargest() {
	largest := len(s.left) - 1
	for i, part := range s.left {
		if part.Len() > s.left[largest].Len() {
			largest = i
		}
	}
	if largest >= 0 {
		part := s.left[largest]
		s.left = append(append(s.left[:largest:largest], s.left[largest+1:]...), part)
	}
}

func (s *search) failAll(part Span, err error) {
	for i := part.From; i < part.To; i++ {
		s.Outcomes[i] = Outcome{Err: err}
	}
}

// leave sets the error of all remaining parts.
func (s *search) leave(err error) {
	for _, part := range s.left {
		s.failAll(part, err)
	}
	s.left = nil
}

func isContextError(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// partlySent returns the BatchError that a sender returned, and the mark that the
// sender put around it. It ignores joined errors, and errors of another flush or of
// a panic: they are not about this batch.
func partlySent(err error) (part *entsignal.BatchError, marked func(error) error) {
	marked = func(err error) error { return err }
	for ; err != nil; err = errors.Unwrap(err) {
		switch err := err.(type) { //nolint:errorlint // the walk itself
		case *entsignal.BatchError:
			return err, marked
		case *entsignal.FlushError, *foreign.PanicError:
			return nil, marked
		case *mark.Unavailable:
			marked = entsignal.Unavailable
		case *mark.Permanent:
			marked = entsignal.Permanent
		}
	}
	return nil, marked
}
