package entsignal

import (
	"context"
	"errors"
	"fmt"
)

// When a sender fails for a batch without saying which signals are at fault,
// the batch is taken apart within its claim, so that no other flush can come
// between: the sender gets one half and then the other, down to single
// signals. What is at fault then stays alone. For one bad signal of n that
// takes about 2·log2(n) calls.
//
// A sender that fails for everything, because of something that nobody marked
// as Unavailable, would be called 2n times. So as long as nothing of the batch
// was sent, the search changes its place after each pair of signals that
// failed alone, to the largest part that is left, and after lastAlone of them
// the batch is given up as a whole: about 3·log2(n) calls. That wrongs a batch
// only if three pairs of neighbours in three places are bad and each part that
// was tried had a bad one too. Once something was sent the sender works, and
// the search goes on to its end, or to that of the claim's time.
//
// An ordered flush halves from its head and stops at the first signal that
// fails alone.

const (
	// pair is how many signals may fail alone in one place.
	pair = 2
	// lastAlone is how many signals may fail alone before anything was sent.
	lastAlone = 3 * pair
)

// outcome is what became of one signal of a batch.
type outcome struct {
	err   error // nil: sent
	blame bool  // the error is about this very signal
}

// span is a part of a batch.
type span struct{ from, to int }

func (s span) len() int { return s.to - s.from }

// parting is a batch that is being sent, as a whole at first.
type parting struct {
	// send gives a part of the batch to the sender.
	send func(context.Context, span) error
	// stopped returns why nothing else should be sent, or nil.
	stopped func(context.Context) error
	// refused, if set, takes each call that failed, for so many signals on
	// their own, and reports whether to call the sender for parts of the batch.
	refused func(signals int) bool
	ordered bool

	outcomes []outcome
	left     []span // what is still to be tried; the last comes first
	sent     int
	alone    int   // how many signals failed alone before anything was sent
	first    error // what the first call failed with
	whole    error // an error about the batch and not about signals
}

// run sends all that can be sent of the n signals; then each has its outcome.
func (p *parting) run(ctx context.Context, n int) {
	p.outcomes = make([]outcome, n)
	p.left = []span{{0, n}}
	for len(p.left) > 0 {
		if p.first != nil {
			if err := p.stopped(ctx); err != nil {
				p.leave(fmt.Errorf("%w before it was tried alone; together with others it failed: %w", err, p.first))
				return
			}
		}
		part := p.left[len(p.left)-1]
		p.left = p.left[:len(p.left)-1]
		err := p.send(ctx, part)
		if err == nil {
			p.sent += part.len()
			continue
		}
		if p.first == nil {
			p.first = err
		}
		rest := p.fail(ctx, part, err)
		if p.refused != nil && !p.refused(p.blamed(part)) && rest == nil && p.sent == 0 && len(p.left) > 0 {
			rest = p.giveUp()
		}
		if rest != nil {
			p.leave(rest)
			return
		}
	}
}

// fail notes the error of a part. It returns the error of what is left if
// nothing else should be sent.
func (p *parting) fail(ctx context.Context, part span, err error) (rest error) {
	ended := endOf(ctx)
	some, mark := partlySent(err)
	switch {
	case some != nil && len(some.Errors) == part.len():
		return p.failPartly(part, some.Errors, mark, ended)
	case some != nil: // a sender that is wrong about more than its signals
		rest = ErrNotTried
	case ended != nil:
		rest = ended
	case IsUnavailable(err):
		rest = Unavailable(ErrNotTried)
	case part.len() == 1:
		p.outcomes[part.from] = outcome{err: err, blame: !errors.Is(err, ErrNotTried)}
		return p.failedAlone()
	default:
		half := part.from + part.len()/2
		p.left = append(p.left, span{half, part.to}, span{part.from, half})
		return nil
	}
	if part.len() == len(p.outcomes) {
		p.whole = err
	}
	p.failAll(part, err)
	return rest
}

// failPartly notes the errors of a part of which the sender reports each
// signal.
func (p *parting) failPartly(part span, errs []error, mark func(error) error, ended error) (rest error) {
	failed := false
	for i, err := range errs {
		if err == nil {
			p.sent++
			continue
		}
		failed = true
		err = mark(err)
		o := outcome{err: err, blame: !IsUnavailable(err) && !errors.Is(err, ErrNotTried)}
		switch {
		case ended != nil:
			rest = ended
			o.blame = o.blame && !isContextError(err)
		case IsUnavailable(err):
			rest = Unavailable(ErrNotTried)
		}
		p.outcomes[part.from+i] = o
	}
	if failed && p.ordered && rest == nil {
		rest = ErrNotTried
	}
	return rest
}

// failedAlone decides how to go on after a single signal has failed.
func (p *parting) failedAlone() (rest error) {
	switch {
	case p.ordered:
		return ErrNotTried
	case p.sent > 0 || len(p.left) == 0:
		return nil
	}
	p.alone++
	switch {
	case p.alone == lastAlone:
		return p.giveUp()
	case p.alone%pair == 0:
		p.toLargest()
	}
	return nil
}

// giveUp gives the batch up, and returns the error of what is left.
func (p *parting) giveUp() error {
	p.whole = fmt.Errorf("given up as a whole: none of %d signals was sent, nor were those of them that were tried alone: %w", len(p.outcomes), p.first)
	return ErrNotTried
}

// blamed returns how many signals of a part failed on their own.
func (p *parting) blamed(part span) (n int) {
	for _, o := range p.outcomes[part.from:part.to] {
		if o.blame {
			n++
		}
	}
	return n
}

// toLargest makes the largest part that is left the next one.
func (p *parting) toLargest() {
	largest := len(p.left) - 1
	for i, part := range p.left {
		if part.len() > p.left[largest].len() {
			largest = i
		}
	}
	if largest >= 0 {
		part := p.left[largest]
		p.left = append(append(p.left[:largest:largest], p.left[largest+1:]...), part)
	}
}

func (p *parting) failAll(part span, err error) {
	for i := part.from; i < part.to; i++ {
		p.outcomes[i] = outcome{err: err}
	}
}

// leave gives what is left the error.
func (p *parting) leave(err error) {
	for _, part := range p.left {
		p.failAll(part, err)
	}
	p.left = nil
}

func isContextError(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}
