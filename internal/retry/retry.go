// Package retry records the failures of signals with mixin.Retry in columns of
// their rows:
//
//	          fails             the pause is over
//	pending ────────▶ waiting ────────────────────▶ pending
//	   │                 │ fails MaxAttempts times in all
//	   │ Permanent       ▼
//	   └──────────────▶ dead ──[Bus.Retry]──▶ pending
//	                      └──[Bus.Discard]──▶ deleted
package retry

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"entgo.io/ent/dialect/sql"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/internal/annotation"
	"github.com/entsignal/signalbus/internal/backoff"
	"github.com/entsignal/signalbus/internal/database"
)

// A Policy sets how often a signal is tried, and how long it waits in between.
type Policy annotation.Retry

const (
	defaultMinBackoff = 10 * time.Second
	defaultMaxBackoff = time.Hour
)

// The fields of mixin.Retry. Their columns have the same names.
const (
	FieldAttempts = "signal_attempts"
	FieldRetryAt  = "signal_retry_at"
	FieldFailedAt = "signal_failed_at"
	FieldError    = "signal_error"
)

// maxErrorText is the largest size of the text in signal_error, in bytes.
const maxErrorText = 1000

// State holds the columns of a row.
type State struct {
	Attempts int
	RetryAt  *time.Time // earliest time of the next attempt; nil means any time
	FailedAt *time.Time // when it became dead; nil if it isn't
	Error    *string
}

// SelectTimes makes a query of entities select the times in a form that
// [State.WithTimes] reads. It is needed where the driver's own form is not
// reliable.
func SelectTimes(s *sql.Selector) { database.SelectInstants(s, FieldRetryAt, FieldFailedAt) }

// WithTimes returns the state with the times that [SelectTimes] has selected. get
// returns the value that the row has under a name.
func (s State) WithTimes(get func(name string) (any, error)) State {
	if at, ok := database.Instant(get, FieldRetryAt); ok {
		s.RetryAt = at
	}
	if at, ok := database.Instant(get, FieldFailedAt); ok {
		s.FailedAt = at
	}
	return s
}

// Due reports whether the row may be sent now.
func (s State) Due(now time.Time) bool {
	return s.FailedAt == nil && (s.RetryAt == nil || !s.RetryAt.After(now))
}

// HasFailed reports whether the row is dead or has failed at least once.
func (s State) HasFailed() bool { return s.FailedAt != nil || s.Attempts > 0 }

// pauses returns the pauses after failures.
func (p Policy) pauses() backoff.Doubling {
	least, most := p.MinBackoff, p.MaxBackoff
	if least == 0 {
		least = defaultMinBackoff
	}
	if most == 0 {
		most = max(defaultMaxBackoff, least)
	}
	return backoff.Doubling{Min: least, Max: most, Jitter: 0.5}
}

// An Attempt is a failed attempt to send a row.
type Attempt struct {
	ID    any
	State State // as it was before
	Err   error
}

// Dead reports whether the row is dead after the attempt.
func (p Policy) Dead(a Attempt) bool {
	return entsignal.IsPermanent(a.Err) || a.State.Attempts+1 >= p.MaxAttempts
}

// Describe returns the number of the attempt as a text.
func (p Policy) Describe(a Attempt) string {
	if p.Dead(a) {
		return fmt.Sprintf("attempt %d of %d, dead", a.State.Attempts+1, p.MaxAttempts)
	}
	return fmt.Sprintf("attempt %d of %d", a.State.Attempts+1, p.MaxAttempts)
}

// Changes returns what to write into the rows whose attempts have failed. Rows with
// the same values share a change.
func (p Policy) Changes(failed []Attempt, now time.Time) []database.Change {
	type note struct {
		attempts int
		dead     bool
		text     string
	}
	index := make(map[note]int)
	var changes []database.Change
	for _, a := range failed {
		n := note{a.State.Attempts, p.Dead(a), errorText(a.Err)}
		i, ok := index[n]
		if !ok {
			i = len(changes)
			index[n] = i
			var retryAt, failedAt any
			if n.dead {
				failedAt = storedTime(now)
			} else {
				retryAt = storedTime(now.Add(p.pauses().Pause(n.attempts)))
			}
			changes = append(changes, database.Change{
				Set: []database.Value{
					{Column: FieldAttempts, Value: n.attempts + 1},
					{Column: FieldRetryAt, Value: retryAt},
					{Column: FieldFailedAt, Value: failedAt},
					{Column: FieldError, Value: n.text},
				},
				// In the meantime the row may have been retried or tried again.
				If: &database.Value{Column: FieldAttempts, Value: n.attempts},
			})
		}
		changes[i].IDs = append(changes[i].IDs, a.ID)
	}
	return changes
}

// Revived returns the values of a row that was reset to be tried again.
func Revived() []database.Value {
	return []database.Value{
		{Column: FieldAttempts, Value: 0},
		{Column: FieldRetryAt},
		{Column: FieldFailedAt},
		{Column: FieldError},
	}
}

// storedTime returns t as every database stores it: in UTC, because SQLite compares
// times as texts, and without the monotonic clock.
func storedTime(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

// errorText returns the text of an error as it is stored: shortened, and without
// characters that PostgreSQL rejects in a text.
func errorText(err error) string {
	text := strings.ReplaceAll(strings.ToValidUTF8(err.Error(), "\uFFFD"), "\x00", "\uFFFD")
	if len(text) <= maxErrorText {
		return text
	}
	end := maxErrorText
	for !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + "…"
}

// IsDue leaves out rows that are dead, and rows that wait for their time.
//
// The condition is written so that the planner can't estimate it; see
// [database.Unless].
func IsDue(now time.Time) func(*sql.Selector) {
	return func(s *sql.Selector) {
		s.Where(database.Unless(held(s, now)))
	}
}

func held(s *sql.Selector, now time.Time) *sql.Predicate {
	return sql.Or(sql.NotNull(s.C(FieldFailedAt)), database.Later(s, FieldRetryAt, storedTime(now)))
}

// IsAlive leaves out the rows that are dead.
func IsAlive(s *sql.Selector) {
	s.Where(database.Unless(sql.NotNull(s.C(FieldFailedAt))))
}

// HasFailed matches rows that are dead or have failed at least once.
func HasFailed(s *sql.Selector) {
	s.Where(sql.Or(sql.GT(s.C(FieldAttempts), 0), sql.NotNull(s.C(FieldFailedAt))))
}

// HasError matches the rows whose last error has this text; nil matches all.
func HasError(text *string) func(*sql.Selector) {
	return func(s *sql.Selector) {
		if text != nil {
			s.Where(database.SameText(s, FieldError, *text))
		}
	}
}

// IsDead matches the rows that are dead.
func IsDead(s *sql.Selector) { s.Where(sql.NotNull(s.C(FieldFailedAt))) }

// IsWaiting matches the rows that wait for their next attempt.
func IsWaiting(now time.Time) func(*sql.Selector) {
	return func(s *sql.Selector) {
		s.Where(sql.And(sql.IsNull(s.C(FieldFailedAt)), database.Later(s, FieldRetryAt, storedTime(now))))
	}
}

// IsHeld matches the rows that are dead or wait for their next attempt.
func IsHeld(now time.Time) func(*sql.Selector) {
	return func(s *sql.Selector) { s.Where(held(s, now)) }
}

// Blocked returns the error for a row that is not due.
func (s State) Blocked(id string) *entsignal.BlockedError {
	e := &entsignal.BlockedError{ID: id, Attempts: s.Attempts}
	switch {
	case s.FailedAt != nil:
		e.FailedAt = *s.FailedAt
	case s.RetryAt != nil:
		e.RetryAt = *s.RetryAt
	}
	if s.Error != nil {
		e.Reason = *s.Error
	}
	return e
}

// Failed describes the row, which has failed.
func (s State) Failed(name, id string) entsignal.FailedSignal {
	f := entsignal.FailedSignal{
		Name:     name,
		ID:       id,
		Attempts: s.Attempts,
		FailedAt: s.FailedAt,
		RetryAt:  s.RetryAt,
		Dead:     s.FailedAt != nil,
	}
	if s.Error != nil {
		f.Error = *s.Error
	}
	return f
}
