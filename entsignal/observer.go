package entsignal

import (
	"context"
	"errors"
	"time"

	"github.com/entsignal/signalbus/internal/option"
)

// An Observer gets the events of a bus or a consumer, for metrics, traces and logs of its own.
// Observe is called concurrently, and within commits that autoflush. It must return
// quickly, and must not use the bus. ctx has the values of the context of the
// commit or the flush, but is not cancelled. A panic is logged and has no other
// effect.
type Observer interface {
	Observe(ctx context.Context, e Event)
}

// An Event of a bus is one of [Recorded], [Sent], [Failed], [Dead], [Flushed], [Paused]
// and [Resumed]; one of a consumer (see rabbitmq.WithObserver) is [Handled],
// [Interrupted] or [Consuming]. It is a value, not a pointer. Later versions may add
// more, so ignore unknown events.
type Event interface{ event() }

// Recorded means that a transaction with signals of one type was committed, or that
// signals were created outside a transaction. It covers signals that are created
// with ent, not rows that are inserted in other ways.
type Recorded struct {
	Signal string
	Count  int
}

// Sent means that messages of one batch were confirmed and their rows deleted. A
// batch may contain signals of several commits.
type Sent struct {
	Signal string
	Mode   Mode
	Count  int
	// Took is the time from the claim of the batch to the end of its transaction.
	Took time.Duration
	// Lag is how long ago the oldest of these signals was recorded, by the clock of the
	// application that recorded it. It takes mixin.Trace, and is 0 without.
	Lag time.Duration
}

// Failed means that signals of one batch stay pending because of an error. Others
// of the same batch may have been sent; see [Sent].
type Failed struct {
	Signal string
	Mode   Mode
	Count  int // 0 if the batch could not be claimed, so that its size is unknown
	Err    error
}

// Dead means that signals have failed for the last time (see mixin.Retry). They are
// not sent any more unless they are retried.
type Dead struct {
	Signal string
	IDs    []string
	Err    error // the error of the first signal
}

// Flushed means that a flush is done with a signal type. It doesn't occur for
// autoflushes and for Send of a generated client; see [Sent] and [Failed] for
// these.
type Flushed struct {
	Signal string
	Mode   Mode
	Sent   int
	Took   time.Duration // without the time of [Wait] in Flush
	Err    error
}

// Paused means that the broker or the database is unavailable for a signal type.
// Until [Resumed], autoflushes leave their signals pending and try only at
// intervals.
type Paused struct {
	Signal string
	Err    error
}

// Resumed means that the broker and the database are available again for a signal
// type, or that no signal of it has waited for them for a minute, because another process
// has sent them all. The latter is noticed by [Bus.Run] and by [Bus.Oldest], which the
// metrics ask.
type Resumed struct {
	Signal string
	After  time.Duration // since Paused
}

func (Recorded) event() {}
func (Sent) event()     {}
func (Failed) event()   {}
func (Dead) event()     {}
func (Flushed) event()  {}
func (Paused) event()   {}
func (Resumed) event()  {}

// WithObserver passes the events of the bus to o. It may be given several times. By
// default there is no observer, and events cost nothing.
func WithObserver(o Observer) BusOption {
	return busOption{option.New("WithObserver", func(b *option.Bus) error {
		if o == nil {
			return errors.New("WithObserver: the observer is nil")
		}
		b.Observers = append(b.Observers, observing(o))
		return nil
	})}
}

// AddObserver passes the events of the bus to o from now on, as [WithObserver] does,
// until remove is called. o may still get events that occur at the same time as
// remove. It is meant for packages that watch a bus that others have made. It panics
// if o is nil.
func (b *Bus) AddObserver(o Observer) (remove func()) {
	if o == nil {
		panic("entsignal: AddObserver: the observer is nil")
	}
	return b.engine().AddObserver(observing(o))
}

func observing(o Observer) func(context.Context, any) {
	return func(ctx context.Context, e any) { o.Observe(ctx, e.(Event)) }
}
