package entsignal

import "time"

// FailedSignal is a signal whose sending has failed: it waits for its next
// attempt, or is dead.
type FailedSignal struct {
	Name     string     `json:"name"` // of its type
	ID       string     `json:"id"`
	Attempts int        `json:"attempts"`
	Error    string     `json:"error"`     // of the last attempt, cut to some length
	FailedAt *time.Time `json:"failed_at"` // since when it is dead; nil if it is not
	RetryAt  *time.Time `json:"retry_at"`  // when it may be tried again; nil if it is dead
	Dead     bool       `json:"dead"`      // it is not sent unless it is retried
}
