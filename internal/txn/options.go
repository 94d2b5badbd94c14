// Package txn is what stands behind Atomic and InTx, apart from what only a
// generated client knows: the options, the loop that runs a transaction again,
// the guard of one try, and the scope in which calls join it.
package txn

import (
	"database/sql"
	"math/rand/v2"
	"time"
)

// Options tune one transaction.
type Options struct {
	Isolation  *sql.IsolationLevel // nil: Atomic's default
	ReadOnly   bool
	Retries    int
	MinBackoff time.Duration
	MaxBackoff time.Duration
}

// Defaults returns the options of a call that sets none.
func Defaults() Options {
	return Options{Retries: 8, MinBackoff: 10 * time.Millisecond, MaxBackoff: time.Second}
}

// backoff returns the pause after a try, counted from 0. It doubles from try
// to try. The upper half of it is random, so that transactions which have met
// don't meet again.
func (o Options) backoff(try int) time.Duration {
	pause := o.MaxBackoff
	if doubled := o.MinBackoff << try; doubled>>try == o.MinBackoff && doubled < pause {
		pause = doubled
	}
	if pause <= 0 {
		return 0
	}
	return pause/2 + rand.N(pause/2+1)
}
