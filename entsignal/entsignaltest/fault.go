package entsignaltest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/entsignal/signalbus/entsignal"
)

// Errors of the faults.
var (
	// ErrAway is the error of [Away]. It is marked by [entsignal.Unavailable].
	ErrAway = errors.New("entsignaltest: the broker is away")
	// ErrLostConfirm is the error of [LoseConfirm].
	ErrLostConfirm = errors.New("entsignaltest: the message is stored, and its confirm is lost")
)

// A Fault makes the sender of one signal type fail, or a database. Its methods
// may be called by several goroutines.
type Fault struct {
	struck  atomic.Int64
	onStop  func()
	stopped sync.Once
	note    func() // takes note of a strike; nil: nobody does

	// What a sender's fault does; nil: nothing.
	call   func(ctx context.Context, signals []any) error // in front of a batch
	before func(signal any) error                         // in front of each signal
	after  func(signal any) error                         // when the signal is stored
}

// Struck returns how often the fault struck.
func (f *Fault) Struck() int { return int(f.struck.Load()) }

// Stop ends the fault. It keeps its count.
func (f *Fault) Stop() { f.stopped.Do(f.onStop) }

func (f *Fault) strike() {
	f.struck.Add(1)
	if f.note != nil {
		f.note()
	}
}

// FailWhere makes the sender fail for the signals for which fail returns an
// error, each time that they are tried, until [Fault.Stop]; the others are sent.
// Wrap the error in [entsignal.Permanent] or [entsignal.Unavailable] as a sender
// would. It strikes once for each signal.
func FailWhere[T any](o *Outbox, fail func(T) error) *Fault {
	o.t.Helper()
	if fail == nil {
		o.t.Fatalf("entsignaltest: FailWhere: the function is nil")
		return stillborn()
	}
	return add[T](o, func(f *Fault) {
		f.before = func(signal any) error {
			err := fail(signal.(T))
			if err != nil {
				f.strike()
			}
			return err
		}
	})
}

// FailNth makes the sender fail with err for the n-th signal of type T that it
// tries from now on, counted from 1, and only for that one: when it is tried
// again it is sent. It strikes at most once.
func FailNth[T any](o *Outbox, n int, err error) *Fault {
	o.t.Helper()
	if n < 1 || err == nil {
		o.t.Fatalf("entsignaltest: FailNth: signal %d and error %v; expected a number from 1 on and an error", n, err)
		return stillborn()
	}
	var tried atomic.Int64
	return add[T](o, func(f *Fault) {
		f.before = func(any) error {
			if tried.Add(1) != int64(n) {
				return nil
			}
			f.strike()
			return err
		}
	})
}

// Away makes the sender report that the broker is away, by [ErrAway], until back
// is called. After three calls in a row that failed so, the bus makes commits
// leave their signals pending, and only now and then tries one: to send what is
// pending once the broker is back, flush it, as by [Outbox.Drain]. [Struck] tells
// how many calls have failed.
func Away[T any](o *Outbox) (back func()) {
	o.t.Helper()
	return add[T](o, func(f *Fault) {
		f.call = func(context.Context, []any) error {
			f.strike()
			return entsignal.Unavailable(ErrAway)
		}
	}).Stop
}

// Hang makes the sender hang until release is called, or the context of its call
// ends, whose error it then returns: after release it sends. The end of the test
// releases it, too. [Struck] tells how many calls have hung, and
// [EventuallyStruck] waits for one.
func Hang[T any](o *Outbox) (release func()) {
	o.t.Helper()
	released := make(chan struct{})
	f := add[T](o, func(f *Fault) {
		f.call = func(ctx context.Context, _ []any) error {
			f.strike()
			select {
			case <-released:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	})
	release = sync.OnceFunc(func() {
		f.Stop()
		close(released)
	})
	o.t.Cleanup(release)
	return release
}

// Panic makes the sender panic with v at each call, until [Fault.Stop].
func Panic[T any](o *Outbox, v any) *Fault {
	o.t.Helper()
	return add[T](o, func(f *Fault) {
		f.call = func(context.Context, []any) error {
			f.strike()
			panic(v)
		}
	})
}

// LoseConfirm makes the sender lose the confirms of the next n signals: they are
// stored, and the sender reports [ErrLostConfirm] for them. Their rows stay and
// the next flush sends them again, so that [Sent] has them twice, as consumers
// have: that is the repeat that they must drop.
func LoseConfirm[T any](o *Outbox, n int) *Fault {
	o.t.Helper()
	if n < 1 {
		o.t.Fatalf("entsignaltest: LoseConfirm: %d signals; expected 1 or more", n)
		return stillborn()
	}
	var lost atomic.Int64
	return add[T](o, func(f *Fault) {
		f.after = func(any) error {
			if lost.Add(1) > int64(n) {
				return nil
			}
			f.strike()
			return ErrLostConfirm
		}
	})
}

// Intercept calls f in front of each batch of type T, until [Fault.Stop]. An
// error of f is that of the sender: with an [*entsignal.BatchError] that has an
// element for each signal those without an error are sent, with another one
// none is. It strikes when f returns an error. f may be called by several
// goroutines at once.
func Intercept[T any](o *Outbox, f func(ctx context.Context, signals []T) error) *Fault {
	o.t.Helper()
	if f == nil {
		o.t.Fatalf("entsignaltest: Intercept: the function is nil")
		return stillborn()
	}
	return add[T](o, func(fault *Fault) {
		fault.call = func(ctx context.Context, signals []any) error {
			typed := make([]T, len(signals))
			for i, s := range signals {
				typed[i] = s.(T)
			}
			err := f(ctx, typed)
			if err != nil {
				fault.strike()
			}
			return err
		}
	})
}

// Struck returns how often faults struck the sender of T, those that have ended
// included.
func Struck[T any](o *Outbox) int {
	o.t.Helper()
	l := laneOf[T](o)
	if l == nil {
		return 0
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	return l.struck
}

// EventuallyStruck waits until faults struck the sender of T at least n times, as
// to know that a call hangs. If that takes longer than the outbox's [Timeout] the
// test ends.
func EventuallyStruck[T any](o *Outbox, n int) {
	o.t.Helper()
	l := laneOf[T](o)
	if l == nil {
		return
	}
	struck := 0
	if !o.await(func() bool { struck = Struck[T](o); return struck >= n }) {
		o.t.Fatalf("entsignaltest: expected faults to strike the sender of %v %d times within %v; they struck %s\n%s",
			l.signal, n, o.timeout, times(struck), o.report(l))
	}
}

// add adds a fault to the lane of T, after those that are there.
func add[T any](o *Outbox, set func(*Fault)) *Fault {
	o.t.Helper()
	l := laneOf[T](o)
	if l == nil {
		return stillborn()
	}
	f := &Fault{}
	f.note = func() {
		l.o.mu.Lock()
		defer l.o.mu.Unlock()
		l.struck++
		l.o.notify()
	}
	f.onStop = func() {
		l.o.mu.Lock()
		defer l.o.mu.Unlock()
		l.faults = slices.DeleteFunc(l.faults, func(other *Fault) bool { return other == f })
	}
	set(f)
	l.o.mu.Lock()
	defer l.o.mu.Unlock()
	l.faults = append(l.faults, f)
	return f
}

// stillborn is the fault of a call that has failed the test.
func stillborn() *Fault { return &Fault{onStop: func() {}} }

// current returns the faults that are on.
func (l *lane) current() []*Fault {
	l.o.mu.Lock()
	defer l.o.mu.Unlock()
	return slices.Clone(l.faults)
}

func times(n int) string {
	switch n {
	case 0:
		return "never"
	case 1:
		return "once"
	default:
		return fmt.Sprintf("%d times", n)
	}
}
