package entsignal

import (
	"context"
	"time"

	"github.com/entsignal/signalbus/internal/option"
)

// Run keeps everything flowing in one process: it sends what is pending and what
// becomes pending, until ctx ends or the bus is closed. Then it finishes the
// batches in hand, within the time of [WithFlushTimeout], and returns nil. It
// returns an error at once for what can never work: a bus that is bound to no
// client or closed, an unknown name, a named signal without a sender, a bad
// option. It never returns because a broker or a database is away.
//
// Each signal type has a loop, a pace and a backoff of its own, so that none holds
// up another, and is sent by the flush that fits it:
//
//   - one with an order ([OrderBy], [OrderKey]) by [Bus.FlushOrdered];
//   - one that commits send by [Bus.Flush], about once a minute, for what autoflushes
//     left behind;
//   - any other by [Bus.FlushMany].
//
// A loop that found nothing looks again after a pause, which doubles up to the
// time of [Poll]. A commit through the same bus that leaves a signal pending ends
// the pause; with [WithWakeUp] one of another process does so too. After a failure
// of the broker or the database the pauses grow from half a second to 30 seconds.
//
// Any number of processes may call Run at once. They have no leader: claims and the
// locks of ordered flushes share the work. What Run does is logged when it changes,
// and [Bus.RunState] tells it.
//
// It also purges the inboxes of the client (see mixin.Inbox), about once an hour.
//
// Options: Only, Exclude, Workers, Burst, HoldBack, SkipDead, Poll. Each is used
// for the types that it fits.
func (b *Bus) Run(ctx context.Context, opts ...FlushOption) error {
	_, err := withOptions(b, "Run", opts, func(e engine, o option.Flush) (struct{}, error) { return struct{}{}, e.Run(ctx, o) })
	return err
}

// RunState tells what [Bus.Run] does in this process. It asks nobody and never waits.
// Without a Run there are no loops.
func (b *Bus) RunState() RunState { return b.engine().RunState() }

// Ping returns nil if the database of the bus answers, within the time of
// [WithFlushTimeout].
func (b *Bus) Ping(ctx context.Context) error { return b.engine().Ping(ctx) }

// RunState is what [Bus.Run] does in this process.
type RunState struct {
	// Loops has one element for each signal type of each Run.
	Loops []LoopState `json:"loops"`
	// Sent is how many signals were sent, and Failed how many passes have failed, of
	// loops that have ended too.
	Sent   int64 `json:"sent"`
	Failed int64 `json:"failed"`
	// WakeUp tells whether other processes wake this one.
	WakeUp WakeUpState `json:"wake_up"`
}

// Stuck returns the signal types whose loop doesn't move.
func (s RunState) Stuck() (names []string) {
	for _, l := range s.Loops {
		if l.Stuck {
			names = append(names, l.Signal)
		}
	}
	return names
}

// Begun reports whether each loop has asked the database once, whatever came of it.
func (s RunState) Begun() bool {
	for _, l := range s.Loops {
		if !l.Begun {
			return false
		}
	}
	return true
}

// LoopState is what the loop of one signal type does.
type LoopState struct {
	Signal string    `json:"signal"`
	Mode   Mode      `json:"-"`      // of the pass that runs, or of the last one
	Passes int64     `json:"passes"` // that have ended
	Failed int64     `json:"failed"` // of them
	Sent   int64     `json:"sent"`   // signals, in all passes
	Begun  bool      `json:"begun"`  // it has asked the database once
	Moved  time.Time `json:"moved"`  // when it was last seen to move
	// Stuck says that the loop hasn't moved for longer than a flush timeout allows,
	// as when its sender hangs and doesn't heed the end of its context. A broker or
	// a database that is away doesn't make it stuck.
	Stuck bool `json:"stuck"`
	// Err is the error of the last pass, and FailingSince when the first of the
	// passes ended that have failed since one has not.
	Err          error     `json:"-"`
	FailingSince time.Time `json:"failing_since,omitzero"`
}
