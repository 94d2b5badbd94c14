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

// Errors of faults.
var (
	// ErrAway is the error of [Away]. It is marked by [entsignal.Unavailable].
	ErrAway = errors.New("entsignaltest: the broker is away")
	// ErrLostConfirm is the error of [LoseConfirm].
	ErrLostConfirm = errors.New("entsignaltest: the message is stored, but its confirm is lost")
)

// A Fault makes the sender of one signal type, or a database, fail. Its methods are
// safe for concurrent use.
type Fault struct {
	struck  atomic.Int64
	onStop  func()
	stopped sync.Once
	note    func() // called after a strike; may be nil

	// What the fault of a sender does; nil means nothing.
	call   func(ctx context.Context, signals []any) error // in front of a batch
	before func(signal any) error                         // in front of each signal
	after  func(signal any) error                         // when the signal is stored
}

// Struck returns how often the fault has struck.
func (f *Fault) Struck() int { return int(f.struck.Load()) }

// Stop ends the fault. The count stays.
func (f *Fault) Stop() { f.stopped.Do(f.onStop) }

func (f *Fault) strike() {
	f.struck.Add(1)
	if f.note != nil {
		f.note()
	}
}

// FailWhere makes the sender fail for the signals for which fail returns an error,
// each time they are tried, until [Fault.Stop]. The others are sent. Wrap the error
// in [entsignal.Permanent] or [entsignal.Unavailable] as a sender would. It strikes
// once per failed signal.
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
// tries from now on; n counts from 1. If that signal is tried again, it is sent.
// The fault strikes at most once.
func FailNth[T any](o *Outbox, n int, err error) *Fault {
	o.t.Helper()
	if n < 1 || err == nil {
		o.t.Fatalf("entsignaltest: FailNth: signal %d and error %v; expected a number of 1 or more and an error", n, err)
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

// Away makes the sender fail with [ErrAway], as if the broker couldn't be reached,
// until back is called. After three calls in a row that failed in this way, the bus
// lets commits leave their signals pending and only tries one from time to time. To
// send what is pending after back, run a flush, for example with [Outbox.Drain].
// [Struck] returns how many calls have failed.
func Away[T any](o *Outbox) (back func()) {
	o.t.Helper()
	return add[T](o, func(f *Fault) {
		f.call = func(context.Context, []any) error {
			f.strike()
			return entsignal.Unavailable(ErrAway)
		}
	}).Stop
}

// Hang makes the sender hang until release is called or the context of the call
// ends. After release it sends. If the context ends, it returns the context's
// error. The end of the test releases it too. [Struck] returns how many calls have
// hung, and [EventuallyStruck] waits for one.
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
// stored, but the sender reports [ErrLostConfirm] for them. Their rows stay, and
// the next flush sends them again. [Sent] then returns them twice, as a consumer
// would get them. This is the repeat that consumers must drop.
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

// Intercept calls f before each batch of type T, until [Fault.Stop]. If f returns
// an error, it becomes the error of the sender, and the fault strikes. If it is an
// [*entsignal.BatchError] with one element per signal, the signals without an error
// are sent; with any other error none is sent. f may be called by several
// goroutines at the same time.
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

// Struck returns how often faults have struck the sender of T, including faults
// that have ended.
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

// EventuallyStruck waits until faults have struck the sender of T at least n times,
// for example to wait until a call hangs. After the outbox's [Timeout] the test
// fails at once.
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

// add adds a fault to the lane of T, after the existing ones.
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

// stillborn is the fault returned by a call that has failed the test.
func stillborn() *Fault { return &Fault{onStop: func() {}} }

// current returns the active faults.
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
