package entsignal

import (
	"fmt"
	"time"
)

// Handled means that the handler of a consumer has returned, and what becomes of the
// message. A delivery that no handler has begun has no event.
type Handled struct {
	Queue      string
	Key        MessageKey
	Type       string // of the message, such as order.placed
	Deliveries int    // how often it was delivered, this time included, as far as is known
	Took       time.Duration
	Outcome    Outcome
	Err        error // of the handler
}

// An Outcome is what becomes of a message that was delivered.
type Outcome int

// The outcomes.
const (
	OutcomeAcknowledged Outcome = iota + 1 // the queue forgets it
	OutcomeRequeued                        // it will be delivered again
	OutcomeRejected                        // to the dead-letter exchange, or dropped if there is none
)

// String returns the outcome in lower case, such as "acknowledged".
func (o Outcome) String() string {
	switch o {
	case OutcomeAcknowledged:
		return "acknowledged"
	case OutcomeRequeued:
		return "requeued"
	case OutcomeRejected:
		return "rejected"
	default:
		return fmt.Sprintf("Outcome(%d)", int(o))
	}
}

// Interrupted means that a consumer gets no deliveries: the broker can't be reached, or
// refuses it, or has no such queue. It goes on trying until [Consuming].
type Interrupted struct {
	Queue string
	Err   error
}

// Consuming means that a consumer gets the deliveries of its queue, for the first time or
// again.
type Consuming struct {
	Queue string
	After time.Duration // since Interrupted; 0 if there was none
}

func (Handled) event()     {}
func (Interrupted) event() {}
func (Consuming) event()   {}
