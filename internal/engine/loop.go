package engine

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/internal/budget"
	"github.com/entsignal/signalbus/internal/database"
	"github.com/entsignal/signalbus/internal/foreign"
	"github.com/entsignal/signalbus/internal/option"
	"github.com/entsignal/signalbus/internal/pace"
)

const (
	// leftBehindEvery is how often a loop looks at a type that commits send.
	leftBehindEvery = time.Minute
	// lookEvery is how often a loop looks how old the oldest signal is.
	lookEvery = time.Second
	// maxStrays is how many queries of a loop may be left behind at a time. Each
	// holds a connection, and one more would not fare better.
	maxStrays = 3
	// manyForNow is how many signals of a pass mean that there may be others, where
	// the bursts grow.
	manyForNow = 50
	// sameFailureEvery is how often a loop logs that signals fail.
	sameFailureEvery = time.Minute
)

// The rests of a loop while nothing fails: without a wake-up, and while one is
// proven to work.
var (
	pollingLimits = pace.Limits{Least: 100 * time.Millisecond, Longest: time.Second}
	awaitedLimits = pace.Limits{Least: time.Second, Longest: 30 * time.Second}
)

// A loop sends the signals of one type, pass after pass. It shares nothing with
// the loops of other types.
type loop struct {
	*signalType
	engine *Engine
	opts   option.Flush
	wake   chan struct{} // has one element if there may be something to send
	pace   pace.Pace

	looked  time.Time // when the oldest signal was looked at
	failing failing
	state   loopState
}

func newLoop(e *Engine, t *signalType, o option.Flush) *loop {
	l := &loop{signalType: t, engine: e, opts: o, wake: make(chan struct{}, 1), pace: pace.Pace{Random: rand.Float64}}
	l.state.init(l)
	return l
}

// awaken ends the rest of the loop, or the next one.
func (l *loop) awaken() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// run makes one pass after the other until ctx ends.
func (l *loop) run(ctx context.Context) {
	woken := false
	for ctx.Err() == nil {
		p := l.pass(ctx, woken)
		if ctx.Err() != nil {
			return
		}
		l.report(ctx, p)
		rest := l.pace.After(l.outcome(p), woken, l.limits())
		if !l.state.awaitStrays(ctx) {
			return
		}
		l.state.rests(rest.Longest)
		woken = rest.Wait(ctx, l.wake)
	}
}

// limits returns how long the loop may rest.
func (l *loop) limits() pace.Limits {
	limits := pollingLimits
	if l.engine.relay.isProven() {
		limits = awaitedLimits
	}
	if l.mode(false) == entsignal.ModeFlush {
		limits = pace.Limits{Least: leftBehindEvery, Longest: leftBehindEvery}
		if l.opts.Poll > 0 {
			limits.Longest = min(limits.Longest, l.opts.Poll)
		}
	} else if l.opts.Poll > 0 {
		limits.Longest = l.opts.Poll
	}
	limits.Least = min(limits.Least, limits.Longest)
	return limits
}

// mode returns by which flush the loop sends. What a commit has left pending,
// which is why it wakes the loop, needn't be waited for.
func (l *loop) mode(woken bool) entsignal.Mode {
	switch {
	case len(l.info.OrderBy) > 0 || l.info.OrderKey != "":
		return entsignal.ModeFlushOrdered
	case l.info.AutoFlush && l.engine.AutoFlush() && !woken:
		return entsignal.ModeFlush
	default:
		return entsignal.ModeFlushMany
	}
}

// options returns those of the options of Run that fit the mode.
func (l *loop) options(mode entsignal.Mode) option.Flush {
	o := option.DefaultFlush()
	o.Only, o.Burst = []string{l.info.Name}, l.opts.Burst
	if mode == entsignal.ModeFlushMany || l.info.OrderKey != "" {
		o.Workers = l.opts.Workers
	}
	if mode == entsignal.ModeFlushOrdered {
		o.Wait = new(time.Duration) // the next pass asks again
		o.HoldBack, o.SkipDead = l.opts.HoldBack, l.opts.SkipDead
	}
	return o
}

// aPass is what came of a pass.
type aPass struct {
	mode entsignal.Mode
	sent int
	err  error
	// provesNothing: it has sent nothing, and what an earlier one left behind may hold the rows.
	provesNothing bool
}

// pass looks and flushes once. A panic is its error.
func (l *loop) pass(ctx context.Context, woken bool) aPass {
	p := aPass{mode: l.mode(woken)}
	l.state.begins(p.mode)
	p.sent, p.err = foreign.Call(func() (int, error) {
		ctx := budget.WithWitness(context.WithValue(ctx, loopKey{}, l), &l.state)
		empty, err := l.look(ctx, p.mode, woken)
		if empty || err != nil {
			return 0, err
		}
		return l.engine.Flush(ctx, p.mode, l.options(p.mode))
	})
	p.provesNothing = p.sent == 0 && l.state.hasStrays()
	l.state.ended(p, l.engine.stopped(ctx) != nil)
	return p
}

// look reports whether the table is empty, where a pass would be a costly way to
// learn that, and notes the oldest signal from time to time.
func (l *loop) look(ctx context.Context, mode entsignal.Mode, woken bool) (empty bool, _ error) {
	if (mode != entsignal.ModeFlushOrdered || woken) && time.Since(l.looked) < lookEvery {
		return false, nil
	}
	l.looked = time.Now()
	st, err := l.engine.store()
	if err != nil {
		return false, err
	}
	t := &task{signalType: l.signalType, engine: l.engine, st: st}
	oldest, err := t.oldest(st.detach(ctx))
	if err != nil {
		return false, &entsignal.FlushError{Signal: l.info.Name, Err: err}
	}
	switch {
	case mode != entsignal.ModeFlushOrdered || oldest != nil:
		return false, nil
	case l.Retry() == nil:
		return true, nil
	}
	ids, err := t.read(st.detach(ctx), t.Columns().Span(nil, nil, 1)) // dead ones block the others
	if err != nil {
		return false, &entsignal.FlushError{Signal: l.info.Name, Err: err}
	}
	return len(ids) == 0, nil
}

// outcome classifies a pass for the pace.
func (l *loop) outcome(p aPass) pace.Outcome {
	burst := cmp.Or(l.opts.Burst, l.info.BurstCount, manyForNow)
	switch {
	case p.err != nil && onlyBusy(p.err) && p.sent == 0:
		return pace.Busy
	case p.err != nil && !onlyBusy(p.err) && p.sent == 0 && l.isAway(p.err):
		return pace.Away
	case p.err != nil && !onlyBusy(p.err):
		return pace.Failed
	case p.sent >= burst && p.mode != entsignal.ModeFlush:
		return pace.Full
	case p.sent > 0:
		return pace.Some
	default:
		return pace.Empty
	}
}

// isAway reports whether err is one of the way to the broker or the database, and
// not of single signals.
func (l *loop) isAway(err error) bool {
	return entsignal.IsUnavailable(err) || errors.As(err, new(*database.AwayError)) || errors.Is(err, budget.ErrStuck) || errors.Is(err, context.DeadlineExceeded) && l.breaker.Noticed()
}

// onlyBusy reports whether err says no more than that other processes have the
// turn.
func onlyBusy(err error) bool { return onlyOf(err, entsignal.ErrBusy) }

// onlyOf reports whether err says no more than some of these; nil says nothing.
func onlyOf(err error, some ...error) bool {
	if err == nil {
		return true
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok { //nolint:errorlint // the walk itself
		return !slices.ContainsFunc(joined.Unwrap(), func(err error) bool { return !onlyOf(err, some...) })
	}
	if inner := errors.Unwrap(err); inner != nil {
		return onlyOf(inner, some...)
	}
	return slices.ContainsFunc(some, func(one error) bool { return errors.Is(err, one) })
}

// failing is what a loop has logged of its failures.
type failing struct {
	since  time.Time // zero: it works
	logged time.Time
}

// report logs when a type begins to fail and when it works again, at most once a
// minute, so that a broker that is down for an hour isn't thousands of lines. What
// the breaker has logged isn't repeated.
func (l *loop) report(ctx context.Context, p aPass) {
	f := &l.failing
	switch o := l.outcome(p); o {
	case pace.Failed, pace.Away:
		now := time.Now()
		if f.since.IsZero() {
			f.since = now
		}
		if l.breaker.Noticed() || !f.logged.IsZero() && now.Sub(f.logged) < sameFailureEvery {
			return
		}
		if o == pace.Away && !f.logged.IsZero() {
			return // it is known, and a line tells when it is over
		}
		f.logged = now
		l.engine.log.ErrorContext(ctx, "relay: a flush failed, it will try again", slog.String("signal", l.info.Name),
			slog.String("mode", p.mode.String()), slog.Int("sent", p.sent), slog.Any("error", p.err))
	case pace.Busy:
	default:
		if f.since.IsZero() || p.provesNothing {
			return
		}
		if !f.logged.IsZero() {
			l.engine.log.InfoContext(ctx, "relay: works again", slog.String("signal", l.info.Name),
				slog.String("failed_for", time.Since(f.since).Round(time.Millisecond).String()))
		}
		*f = failing{}
	}
}
