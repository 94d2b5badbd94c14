package entsignal

import (
	"fmt"
	"time"

	"github.com/entsignal/signalbus/internal/option"
)

// A FlushOption configures one call of a flush or of Pending. A method returns an
// error for an option that it doesn't use.
type FlushOption struct{ flushOption }

type flushOption = option.Option[option.Flush]

// Only restricts a flush to the named signals. [Bus.Flush], [Bus.FlushMany],
// [Bus.FlushOrdered] and [Bus.Pending] use it, and so do Failed and CheckOrder.
func Only(names ...string) FlushOption {
	return FlushOption{option.New("Only", func(o *option.Flush) error {
		o.Only = append(append([]string{}, o.Only...), names...)
		return nil
	})}
}

// Exclude leaves out the named signals. It is used by the same methods as [Only].
func Exclude(names ...string) FlushOption {
	return FlushOption{option.New("Exclude", func(o *option.Flush) error {
		o.Exclude = append(o.Exclude, names...)
		return nil
	})}
}

// Wait sets how long Flush waits between listing the pending signals and sending
// them (3 seconds by default), and how long FlushOrdered waits for another
// FlushOrdered of the same signal (by default until ctx ends).
func Wait(d time.Duration) FlushOption {
	return FlushOption{option.New("Wait", func(o *option.Flush) error {
		if d < 0 {
			return fmt.Errorf("%v; expected 0 or more", d)
		}
		o.Wait = &d
		return nil
	})}
}

// HoldBack sets how long FlushOrdered waits, in total per signal type, for open
// transactions that may still commit lower ids than the pending ones. Meanwhile it
// sends what is safe to send. When the time is over, the type fails with a
// [*HeldBackError] that lists the transactions. The same limit applies to a
// transaction that has locked the table or its sequence. The default is 30 seconds.
// With 0 FlushOrdered sends what is safe and doesn't wait. It has an effect only on
// PostgreSQL, for types whose order is by id; see [Bus.CheckOrder].
func HoldBack(d time.Duration) FlushOption {
	return FlushOption{option.New("HoldBack", func(o *option.Flush) error {
		if d < 0 {
			return fmt.Errorf("%v; expected 0 or more", d)
		}
		o.HoldBack = &d
		return nil
	})}
}

// Workers sets how many batches of a signal type FlushMany sends at the same time,
// and how many keys of an [OrderKey] FlushOrdered does. The default is 1.
// FlushOrdered with more than one returns an error for a type without OrderKey. On
// SQLite more workers are not faster, because only one flush runs at a time.
func Workers(n int) FlushOption {
	return FlushOption{option.New("Workers", func(o *option.Flush) error {
		if n < 1 {
			return fmt.Errorf("%d; expected 1 or more", n)
		}
		o.Workers = n
		return nil
	})}
}

// Burst overrides the burst count of the signals for this call. Flush, FlushMany
// and FlushOrdered use it.
func Burst(n int) FlushOption {
	return FlushOption{option.New("Burst", func(o *option.Flush) error {
		if err := checkBurst(n); err != nil {
			return err
		}
		o.Burst = n
		return nil
	})}
}

// SkipDead makes FlushOrdered skip dead signals instead of stopping at them.
// Signals that come after a dead one in the order are then sent before it. It
// changes nothing for types without mixin.Retry.
func SkipDead() FlushOption {
	return FlushOption{option.New("SkipDead", func(o *option.Flush) error {
		o.SkipDead = true
		return nil
	})}
}

// Poll sets the longest pause of [Bus.Run] before it looks again at a signal type
// that was found empty. The default is 1 second, or 30 seconds while a wake-up (see
// [WithWakeUp]) is proven to work. A type that commits send is looked at once a
// minute, or as often as Poll says if that is more often.
func Poll(d time.Duration) FlushOption {
	return FlushOption{option.New("Poll", func(o *option.Flush) error {
		if d <= 0 {
			return fmt.Errorf("%v; expected more than 0", d)
		}
		o.Poll = d
		return nil
	})}
}

// AtMost makes Pending stop counting the signals of a type at n, and its waiting and
// dead ones too. A count of n then means that there are n or more. Use it where a
// large backlog must not make the query slow. By default Pending counts all. It makes
// [Bus.Failed] list at most n signals of each type.
func AtMost(n int) FlushOption {
	return FlushOption{option.New("AtMost", func(o *option.Flush) error {
		if n < 1 {
			return fmt.Errorf("%d; expected 1 or more", n)
		}
		o.AtMost = n
		return nil
	})}
}

func checkBurst(n int) error {
	if n < 1 || n > MaxBurstCount {
		return fmt.Errorf("burst count %d; expected 1 to %d", n, MaxBurstCount)
	}
	return nil
}

// After makes [Bus.Failed] begin behind the signal with this id, which needn't be
// there anymore. The call must select one type by [Only]. Together with [AtMost] it
// lists page by page.
func After(id string) FlushOption {
	return FlushOption{option.New("After", func(o *option.Flush) error {
		o.After = &id
		return nil
	})}
}

// ErrorText restricts [Bus.Failed], [Bus.RetryAll] and [Bus.DiscardAll] to signals
// whose last error, as [FailedSignal] has it, is exactly this text.
func ErrorText(text string) FlushOption {
	return FlushOption{option.New("ErrorText", func(o *option.Flush) error {
		o.ErrorText = &text
		return nil
	})}
}
