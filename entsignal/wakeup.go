package entsignal

import (
	"context"
	"errors"

	"github.com/entsignal/signalbus/internal/option"
)

// A WakeUp tells the processes that call [Bus.Run] of commits in others, so that
// they needn't poll often. pqconn.NewWakeUp makes one of PostgreSQL's LISTEN and
// NOTIFY. Its methods are called by several goroutines. One that fails, panics or
// hangs harms nothing: what it would have told of is found by a poll.
type WakeUp interface {
	// Notify tells other processes that signals of these types wait. The bus calls it
	// after commits, coalesced (at once for the first, then at most every 10 ms), off
	// the write path; losing one costs a poll. ctx ends after 2 seconds.
	Notify(ctx context.Context, signals []string) error
	// Listen calls wake until ctx ends; nil stands for "anything may wait" (after a
	// reconnect). After an error it is called again, less and less often.
	Listen(ctx context.Context, wake func(signals []string)) error
}

// A Prover is a [WakeUp] that can show that it works. Only while it has shown that,
// the pauses of [Bus.Run] are long; see [Poll]. The bus asks when it begins to
// listen, whenever wake was called with nil, and after a failure once a minute.
type Prover interface {
	// Prove returns nil when a notification of its own has come back, and an error
	// that says what is wrong when ctx ends first, after 1.5 seconds.
	Prove(ctx context.Context) error
}

// WithWakeUp makes the commits of the bus that leave signals pending wake other
// processes by w, and [Bus.Run] be woken by it. That a signal is pending is the rule
// for types without autoflush, and otherwise an exception, such as a full queue or a
// broker that is away. The default is none: Run polls. Closing w is up to the
// program, after the bus.
func WithWakeUp(w WakeUp) BusOption {
	return busOption{option.New("WithWakeUp", func(b *option.Bus) error {
		if w == nil {
			return errors.New("WithWakeUp: the wake-up is nil")
		}
		b.WakeUp = w
		return nil
	})}
}

// WakeUpState tells whether other processes wake the ones that call [Bus.Run].
type WakeUpState struct {
	// Configured says that the bus has a wake-up.
	Configured bool `json:"configured"`
	// Proven says that it is known to work, so that Run polls rarely.
	Proven bool `json:"proven"`
	// Err says why it is not; it is nil too as long as nothing is known.
	Err error `json:"-"`
	// Received is how many notifications came.
	Received int64 `json:"received"`
}
