package entsignal

import (
	"fmt"
	"strings"
	"time"
)

// HeldBackError is returned by FlushOrdered, within a [*FlushError], if open
// transactions that may still commit lower ids than the pending ones, or that
// prevent the flush from looking, did not end within the time of [HoldBack]. What
// could be sent in order was sent. The other signals wait for the next flush. Get
// it with [errors.As]. It occurs only on PostgreSQL.
type HeldBackError struct {
	// Count is how many committed signals wait. It is 0 if the table or its
	// sequence is locked, such as by TRUNCATE or ALTER, so that they can't be
	// counted.
	Count   int
	FirstID string // the lowest of their ids
	LastID  string // the highest; not every id in between is a waiting signal
	Waited  time.Duration
	// Blockers are the transactions that FlushOrdered waited for, oldest first. To
	// end one, end its session (pg_terminate_backend), or run ROLLBACK PREPARED.
	Blockers []Blocker
}

// A Blocker is an open transaction that may have drawn ids. PostgreSQL shows the
// state and the age of other users' sessions only to members of pg_read_all_stats.
type Blocker struct {
	PID         int    // process id of the session; 0 for a prepared transaction
	GID         string // name of a prepared transaction
	User        string // database user
	Application string // application_name of the session; empty if not set
	State       string // such as "active" or "idle in transaction"; empty if unknown
	// Wrote reports whether the transaction has written anything yet. If not, it
	// may have drawn ids for later writes, or it only reads the view pg_sequences,
	// which takes the same lock; PostgreSQL doesn't show which.
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
	return fmt.Sprintf("held back for %v: %d signals, ids %s to %s, wait for open transactions that may commit lower ids: %s",
		e.Waited.Round(time.Millisecond), e.Count, e.FirstID, e.LastID, strings.Join(names, "; "))
}
