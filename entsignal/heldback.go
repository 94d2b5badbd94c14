package entsignal

import (
	"fmt"
	"strings"
	"time"
)

// HeldBackError is returned by FlushOrdered, within a [*FlushError], when
// transactions that are open may still commit signals with lower ids than
// some that are pending, or keep the flush from looking, and didn't end in the
// time of [HoldBack]. What could be sent in order was sent; the others wait for
// the next flush. Find it with [errors.As]. PostgreSQL only.
type HeldBackError struct {
	// Count is how many signals are committed and wait. It is 0 if the table or
	// its sequence is locked, as by TRUNCATE or ALTER, so that nobody can count.
	Count   int
	FirstID string // the lowest of their ids
	LastID  string // and the highest; the ids between may be others
	Waited  time.Duration
	// Blockers are the transactions that are waited for, the oldest first. To
	// end one, end its session (pg_terminate_backend), or ROLLBACK PREPARED.
	Blockers []Blocker
}

// A Blocker is a transaction that is open and may have drawn ids. Of the sessions
// of other users PostgreSQL tells the state and the age only to members of
// pg_read_all_stats.
type Blocker struct {
	PID         int    // process id of the session; 0 for a prepared transaction
	GID         string // name of a prepared transaction
	User        string // who runs it
	Application string // application_name of the session, as far as it sets one
	State       string // such as "active" or "idle in transaction"; empty if unknown
	// Wrote says whether it has written anything yet. One that hasn't may have
	// drawn ids for what it writes later, or it reads the view pg_sequences,
	// which takes the same lock; the database doesn't tell which.
	Wrote bool
	Age   time.Duration // since it began, or was prepared; 0 if unknown
}

// String describes the transaction.
func (b Blocker) String() string {
	var s strings.Builder
	if b.GID != "" {
		fmt.Fprintf(&s, "prepared transaction %q", b.GID)
	} else {
		fmt.Fprintf(&s, "pid %d", b.PID)
	}
	if b.User != "" {
		fmt.Fprintf(&s, " of user %s", b.User)
	}
	if b.Application != "" {
		fmt.Fprintf(&s, ", application %q", b.Application)
	}
	if b.State != "" {
		s.WriteString(", " + b.State)
	}
	if !b.Wrote && b.GID == "" {
		s.WriteString(", has written nothing yet")
	}
	if b.Age > 0 {
		fmt.Fprintf(&s, ", open for %v", b.Age.Round(time.Millisecond))
	}
	return s.String()
}

func (e *HeldBackError) Error() string {
	names := make([]string, 0, maxListed+1)
	for i, b := range e.Blockers {
		if i == maxListed {
			names = append(names, fmt.Sprintf("and %d more", len(e.Blockers)-maxListed))
			break
		}
		names = append(names, b.String())
	}
	if e.Count == 0 {
		return fmt.Sprintf("held back for %v: the table or its sequence is locked by %s", e.Waited.Round(time.Millisecond), strings.Join(names, "; "))
	}
	return fmt.Sprintf("held back for %v: %d signals, ids %s to %s, wait for open transactions that may have lower ids: %s",
		e.Waited.Round(time.Millisecond), e.Count, e.FirstID, e.LastID, strings.Join(names, "; "))
}
