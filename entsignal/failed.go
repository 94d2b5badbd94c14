package entsignal

import "time"

// FailedSignal is a signal that failed to be sent. It waits for its next attempt,
// or is dead.
type FailedSignal struct {
	Name     string     `json:"name"` // the signal type
	ID       string     `json:"id"`
	Attempts int        `json:"attempts"`
	Error    string     `json:"error"`     // of the last attempt, possibly shortened
	FailedAt *time.Time `json:"failed_at"` // when it became dead; nil if it is not dead
	RetryAt  *time.Time `json:"retry_at"`  // earliest time of the next attempt; nil if it is dead
	Dead     bool       `json:"dead"`      // no flush sends it until it is retried
}
