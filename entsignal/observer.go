package entsignal

import (
	"context"
	"errors"
	"time"

	"github.com/entsignal/signalbus/internal/option"
)

// An Observer is told what happens in a bus, for metrics, traces and logs of its
// own. Observe is called by many goroutines at once, and by a commit that autoflushes:
// it must return at once, and must not use the bus. ctx carries the values of the
// commit's or the flush's context, and is not cancelled. A panic is logged, and
// changes nothing.
type Observer interface {
	Observe(ctx context.Context, e Event)
}

// An Event is one of [Recorded], [Sent], [Failed], [Dead], [Flushed], [Paused] and
// [Resumed], by value. Later versions may add others, so ignore those that you don't
// know.
type Event interface{ event() }

// Recorded says that a transaction with signals of one type was committed, or that
// signals were created outside of a transaction. It counts the signals that are created
// through ent, of types whose schema doesn't turn the autoflush off.
type Recorded struct {
	Signal string
	Count  int
}

// Sent says that messages of one batch were confirmed and their rows deleted. Signals
// of several commits may be in one batch.
type Sent struct {
	Signal string
	Mode   Mode
	Count  int
	// Took is the time of the batch: from its claim to the end of its transaction.
	Took time.Duration
	// Lag is how long ago the oldest signal of the batch was recorded; 0 if unknown.
	Lag time.Duration
}

// Failed says that signals of one batch stay pending because of an error. A batch may
// have sent others; see [Sent].
type Failed struct {
	Signal string
	Mode   Mode
	Count  int // 0: the batch could not be claimed, so its size is unknown
	Err    error
}

// Dead says that signals won't be sent any more unless they are retried: they have
// failed for the last time (see mixin.Retry).
type Dead struct {
	Signal string
	IDs    []string
	Err    error // of the first of them
}

// Flushed says that a flush is done with a signal type. Autoflushes, and Send of a
// generated client, are told by [Sent] and [Failed] alone.
type Flushed struct {
	Signal string
	Mode   Mode
	Sent   int
	Took   time.Duration // without the wait between the parts of Flush
	Err    error
}

// Paused says that the broker or the database is away for a signal type. Autoflushes
// leave their signals pending, and try at intervals, until [Resumed].
type Paused struct {
	Signal string
	Err    error
}

// Resumed says that the broker and the database are back for a signal type.
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

// WithObserver makes the bus tell o what happens. It may be given several times. By
// default there is no observer, which costs nothing.
func WithObserver(o Observer) BusOption {
	return busOption{option.New("WithObserver", func(b *option.Bus) error {
		if o == nil {
			return errors.New("WithObserver: the observer is nil")
		}
		b.Observers = append(b.Observers, func(ctx context.Context, e any) { o.Observe(ctx, e.(Event)) })
		return nil
	})}
}
