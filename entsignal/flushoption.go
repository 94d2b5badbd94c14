package entsignal

import (
	"fmt"
	"time"

	"github.com/entsignal/signalbus/internal/option"
)

// A FlushOption tunes one call of a flush or of Pending. An option that the
// method doesn't use is an error.
type FlushOption struct{ flushOption }

type flushOption = option.Option[option.Flush]

// Only restricts a flush to the named signals. Used by Flush, FlushMany,
// FlushOrdered and Pending of a [Bus].
func Only(names ...string) FlushOption {
	return FlushOption{option.New("Only", func(o *option.Flush) error {
		o.Only = append(append([]string{}, o.Only...), names...)
		return nil
	})}
}

// Exclude leaves the named signals out. Used by Flush, FlushMany,
// FlushOrdered and Pending of a [Bus].
func Exclude(names ...string) FlushOption {
	return FlushOption{option.New("Exclude", func(o *option.Flush) error {
		o.Exclude = append(o.Exclude, names...)
		return nil
	})}
}

// Wait sets how long Flush waits between listing the pending signals and
// sending them, by default 3 seconds, and how long FlushOrdered waits for
// another FlushOrdered of the same signal, by default until its context ends.
func Wait(d time.Duration) FlushOption {
	return FlushOption{option.New("Wait", func(o *option.Flush) error {
		if d < 0 {
			return fmt.Errorf("%v; expected 0 or more", d)
		}
		o.Wait = &d
		return nil
	})}
}

// HoldBack sets how long a FlushOrdered waits, for each signal in all, for
// transactions that are open and may commit lower ids than those of signals
// that are pending. While it waits it sends what is safe. When the time is
// over the signal fails with a [*HeldBackError] that names the transactions.
// It also waits so long for one that has locked the table or its sequence.
// The default is 30 seconds. 0 sends what is safe at once. It has an effect
// on PostgreSQL, for signals that are sent by id; see [Bus.CheckOrder].
func HoldBack(d time.Duration) FlushOption {
	return FlushOption{option.New("HoldBack", func(o *option.Flush) error {
		if d < 0 {
			return fmt.Errorf("%v; expected 0 or more", d)
		}
		o.HoldBack = &d
		return nil
	})}
}

// Workers sets how many batches of a signal FlushMany sends side by side, and
// how many keys of an [OrderKey] FlushOrdered does; by default 1. FlushOrdered
// with more returns an error for a signal that has no OrderKey. On SQLite,
// where flushes take turns, more make nothing faster.
func Workers(n int) FlushOption {
	return FlushOption{option.New("Workers", func(o *option.Flush) error {
		if n < 1 {
			return fmt.Errorf("%d; expected 1 or more", n)
		}
		o.Workers = n
		return nil
	})}
}

// Burst sets the burst count for this call, in place of the signals' own.
// Used by Flush, FlushMany and FlushOrdered.
func Burst(n int) FlushOption {
	return FlushOption{option.New("Burst", func(o *option.Flush) error {
		if err := checkBurst(n); err != nil {
			return err
		}
		o.Burst = n
		return nil
	})}
}

// SkipDead makes FlushOrdered skip dead signals, at which it stops otherwise: then
// what was to come after them leaves before them. It
// changes nothing for signals without mixin.Retry.
func SkipDead() FlushOption {
	return FlushOption{option.New("SkipDead", func(o *option.Flush) error {
		o.SkipDead = true
		return nil
	})}
}

func checkBurst(n int) error {
	if n < 1 || n > MaxBurstCount {
		return fmt.Errorf("burst count %d; expected 1 to %d", n, MaxBurstCount)
	}
	return nil
}
