package entsignal

import (
	"fmt"
	"time"

	"github.com/entsignal/signalbus/internal/quote"
)

// BlockedError is the error of a FlushOrdered that has come to a signal which
// may not be sent now, and behind which nothing may be sent therefore: one that
// waits for its next attempt, or one that is dead. Retry or discard
// it ([Bus.Retry], [Bus.Discard]); a dead one can also be skipped by
// [SkipDead].
type BlockedError struct {
	ID       string
	Attempts int       // how often it has failed
	FailedAt time.Time // dead since; zero: it is not dead
	RetryAt  time.Time // when it may be tried again; zero if it is dead
	Reason   string    // the error of its last attempt
}

func (e *BlockedError) Error() string {
	state := "waits until " + e.RetryAt.Format(time.RFC3339)
	if !e.FailedAt.IsZero() {
		state = "has been dead since " + e.FailedAt.Format(time.RFC3339)
	}
	return fmt.Sprintf("blocked by id %s, which %s (attempt %d failed): %s", quote.ID(e.ID), state, e.Attempts, e.Reason)
}
