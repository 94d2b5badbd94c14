package entsignal

import (
	"fmt"
	"time"

	"github.com/entsignal/signalbus/internal/quote"
)

// BlockedError is returned by FlushOrdered when it reaches a signal that can't be
// sent now, because the signal waits for its next attempt or is dead. Nothing
// behind it is sent. Retry or discard the signal ([Bus.Retry], [Bus.Discard]).
// [SkipDead] skips dead signals.
type BlockedError struct {
	ID       string
	Attempts int       // how often it has failed
	FailedAt time.Time // when it became dead; zero if it is not dead
	RetryAt  time.Time // earliest time of the next attempt; zero if it is dead
	Reason   string    // the error of its last attempt
}

func (e *BlockedError) Error() string {
	state := "waits until " + e.RetryAt.Format(time.RFC3339)
	if !e.FailedAt.IsZero() {
		state = "has been dead since " + e.FailedAt.Format(time.RFC3339)
	}
	return fmt.Sprintf("blocked by id %s, which %s (attempt %d failed): %s", quote.ID(e.ID), state, e.Attempts, e.Reason)
}
