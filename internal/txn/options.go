// Package txn implements Atomic and InTx, except for what only a generated client
// knows: the options, the loop that runs a transaction again, the guard of one try,
// the scope in which calls join it, and the lane.
//
// # The lane
//
// Transactions that want the same row lose to each other. With random pauses alone,
// one call in some hundred loses nine times to nine others. So the guard notes
// which rows a try writes or locks, as far as its statements show (see rowOf). Each
// client has one lane. It lets a call that has lost twice be the next one at the
// rows that it has lost:
//
//	  first and second try            third try and later
//	┌────────────────────┐  lost   ┌──────────────────────────┐
//	│ run at once        │ twice   │ stand in line, by age    │
//	│                    ├────────>│                          │
//	│ stranger:          │         │ wait until nobody older, │
//	│   goes on          │         │ and no try under way,    │
//	│                    │         │ has a row that I want    │
//	│ about to touch a   │  gives  │            │             │
//	│ row that one in    │  way    │            v             │
//	│ line wants:        ├──┐      │ run: who else comes to   │
//	│   is lost, and run │  │      │ my rows gives way        │
//	│   again            │<─┘      │            │             │
//	└─────────┬──────────┘         └────────────┼─────────────┘
//	          v                                 v
//	        commit                            commit
//
// A transaction that holds a lock never waits here, and none waits for a row that
// it doesn't want. So a transaction that touches other rows never notices the line.
// A transaction that gives way has lost that try, so it joins the line itself after
// the next lost try at the latest. The last try of a call gives way to no one.
// Other processes, and transactions that aren't Atomic's, don't know the line;
// against conflicts with them there are only the pauses.
package txn

import (
	"database/sql"
	"time"

	"github.com/entsignal/signalbus/internal/backoff"
)

// Options configure one transaction.
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

// pauses returns the pauses between tries. The jitter prevents transactions that
// have met from meeting again.
func (o Options) pauses() backoff.Doubling {
	return backoff.Doubling{Min: o.MinBackoff, Max: o.MaxBackoff, Jitter: 0.5}
}
