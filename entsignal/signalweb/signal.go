package signalweb

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/internal/secret"
	"github.com/entsignal/signalbus/internal/view"
)

// countLimit bounds each count: it stands for itself or more.
const countLimit = 10001

// looked is what the database has told of a type.
type looked struct {
	counts cached[view.Pending]
	detail cached[detail]
}

// signalState is what is known of one signal type.
type signalState struct {
	entsignal.Info
	view.Pending
	Mode  string `json:"mode"`  // of the flush by which a relay sends it
	State string `json:"state"` // one of those below
	Why   string `json:"why,omitempty"`
	// CountedAt is when the database was asked. It is absent as long as that has never
	// succeeded; CountError is why the last try didn't.
	CountedAt  *time.Time `json:"counted_at,omitempty"`
	CountError string     `json:"count_error,omitempty"`
	Rates      rates      `json:"rates"`
	Paused     *since     `json:"paused,omitempty"`
	Failing    *since     `json:"failing,omitempty"`
	Blocked    *blocked   `json:"blocked,omitempty"`
}

// rates are what this process has sent, and failed to send.
type rates struct {
	SentPerSecond   float64 `json:"sent_per_second"` // in the last 10 seconds
	FailedPerSecond float64 `json:"failed_per_second"`
	SentLastHour    int     `json:"sent_last_hour"`
	FailedLastHour  int     `json:"failed_last_hour"`
	// By minute, the one that runs last.
	SentByMinute   []int      `json:"sent_by_minute"`
	FailedByMinute []int      `json:"failed_by_minute"`
	LastSentAt     *time.Time `json:"last_sent_at,omitempty"`
}

// since is an error and since when it is there.
type since struct {
	Since time.Time `json:"since"`
	Error string    `json:"error"`
}

// blocked is what keeps an ordered type from being sent.
type blocked struct {
	ID           string        `json:"id,omitempty"` // of a signal that waits or is dead
	Dead         bool          `json:"dead,omitempty"`
	RetryAt      *time.Time    `json:"retry_at,omitempty"`
	Waiting      int           `json:"waiting,omitempty"` // signals that wait for transactions
	Transactions []transaction `json:"transactions,omitempty"`
}

// transaction is an open transaction that holds signals back.
type transaction struct {
	PID         int     `json:"pid,omitempty"`
	GID         string  `json:"gid,omitempty"` // of a prepared one
	User        string  `json:"user,omitempty"`
	Application string  `json:"application,omitempty"`
	State       string  `json:"state,omitempty"`
	Wrote       bool    `json:"wrote"`
	AgeSeconds  float64 `json:"age_seconds"`
}

// The states of a type, the worst first: it has the first one that is true.
const (
	stateStuck   = "stuck"   // its loop doesn't move
	statePaused  = "paused"  // the broker or the database is unavailable
	stateBlocked = "blocked" // something must be sent first, or open transactions must end
	stateFailing = "failing" // the last flush failed
	stateDead    = "dead"    // some are dead
	stateUnknown = "unknown" // the database couldn't be asked
	stateWaiting = "waiting" // some wait for their next attempt
	stateSending = "sending" // some were sent in the last seconds
	statePending = "pending" // some are pending
	stateIdle    = "idle"
)

// needsAttention reports whether somebody should look.
func needsAttention(state string) bool {
	switch state {
	case stateWaiting, stateSending, statePending, stateIdle:
		return false
	default:
		return true
	}
}

// signals returns the states of all types.
func (s *server) signals(ctx context.Context) []signalState {
	infos := s.bus.Signals()
	states := make([]signalState, len(infos))
	loops := s.loops()
	askAll(ctx, len(infos), func(ctx context.Context, i int) {
		states[i] = s.signal(ctx, infos[i], loops[infos[i].Name])
	})
	return states
}

// loops returns the loops of the relay in this process, by type.
func (s *server) loops() map[string]entsignal.LoopState {
	loops := make(map[string]entsignal.LoopState)
	for _, l := range s.bus.RunState().Loops {
		if known, ok := loops[l.Signal]; !ok || known.Err == nil { // of several the one that fails
			loops[l.Signal] = l
		}
	}
	return loops
}

// info returns the type of that name.
func (s *server) info(name string) (entsignal.Info, error) {
	var known []string
	for _, info := range s.bus.Signals() {
		if info.Name == name {
			return info, nil
		}
		known = append(known, info.Name)
	}
	return entsignal.Info{}, &entsignal.UnknownSignalError{Name: name, Known: known}
}

// signal returns the state of one type. loop is the zero value if this process has no
// loop for it.
func (s *server) signal(ctx context.Context, info entsignal.Info, loop entsignal.LoopState) signalState {
	if info.OrderBy == nil {
		info.OrderBy = []entsignal.OrderTerm{}
	}
	st := signalState{Info: info, Mode: view.Mode(info).String()}
	counts := s.types[info.Name].counts.get(ctx, func(ctx context.Context) (view.Pending, error) { return s.count(ctx, info.Name) })
	st.Pending = counts.value
	if !counts.at.IsZero() {
		st.CountedAt = &counts.at
	}
	if counts.err != nil {
		st.CountError = errorText(counts.err)
	}
	past := s.history.get(info.Name)
	st.Rates = rates{SentPerSecond: past.sentNow, FailedPerSecond: past.failedNow, SentLastHour: past.sentHour, FailedLastHour: past.failedHour,
		SentByMinute: past.sent, FailedByMinute: past.failed, LastSentAt: timeOf(past.lastOK)}
	st.setTroubles(past, loop)
	st.setState(loop)
	return st
}

// count asks the database about a type.
func (s *server) count(ctx context.Context, name string) (p view.Pending, _ error) {
	only := entsignal.Only(name)
	counts, err := s.bus.Pending(ctx, only, entsignal.AtMost(countLimit))
	if err != nil {
		return p, err
	}
	p.PendingCount = counts[0]
	oldest, err := s.bus.Oldest(ctx, only)
	if err != nil {
		return p, err
	}
	p.SetOldest(oldest[0], time.Now())
	return p, nil
}

// setTroubles sets what is wrong. Of what the relay's loop has tried, the loop knows
// best.
func (st *signalState) setTroubles(past seen, loop entsignal.LoopState) {
	if past.paused.err != nil {
		st.Paused = &since{past.paused.since, errorText(past.paused.err)}
	}
	failing := past.failing
	if loop.Signal != "" {
		failing = trouble{loop.FailingSince, loop.Err}
	}
	if failing.err == nil || onlyBusy(failing.err) {
		return
	}
	st.Failing = &since{failing.since, errorText(failing.err)}
	var (
		block *entsignal.BlockedError
		held  *entsignal.HeldBackError
	)
	switch {
	case errors.As(failing.err, &held):
		st.Blocked = &blocked{Waiting: held.Count}
		for _, b := range held.Blockers {
			st.Blocked.Transactions = append(st.Blocked.Transactions, transaction{b.PID, b.GID, b.User, b.Application, b.State, b.Wrote, b.Age.Seconds()})
		}
	case errors.As(failing.err, &block):
		st.Blocked = &blocked{ID: block.ID, Dead: !block.FailedAt.IsZero(), RetryAt: timeOf(block.RetryAt)}
	}
}

// onlyBusy reports whether another process has the turn, which is no failure.
func onlyBusy(err error) bool {
	if joined, ok := err.(interface{ Unwrap() []error }); ok { //nolint:errorlint // the walk itself
		for _, one := range joined.Unwrap() {
			if !onlyBusy(one) {
				return false
			}
		}
		return true
	}
	return errors.Is(err, entsignal.ErrBusy)
}

// setState decides which state it is in, and why.
func (st *signalState) setState(loop entsignal.LoopState) {
	switch {
	case loop.Stuck:
		st.State, st.Why = stateStuck, "its loop has not moved since "+clock(loop.Moved)
	case st.Paused != nil:
		st.State, st.Why = statePaused, st.Paused.Error
	case st.Blocked != nil && len(st.Blocked.Transactions) > 0:
		st.State, st.Why = stateBlocked, st.Blocked.describe()
	case st.Blocked != nil:
		st.State, st.Why = stateBlocked, st.Blocked.describe()
	case st.Failing != nil:
		st.State, st.Why = stateFailing, st.Failing.Error
	case st.Dead > 0:
		st.State, st.Why = stateDead, count(st.Dead)+plural(st.Dead, " message was", " messages were")+" given up"
	case st.CountError != "":
		st.State, st.Why = stateUnknown, st.CountError
	case st.Waiting > 0:
		st.State = stateWaiting
	case st.Rates.SentPerSecond > 0:
		st.State = stateSending
	case st.Count > 0:
		st.State = statePending
	default:
		st.State = stateIdle
	}
}

func (b *blocked) describe() string {
	switch n := len(b.Transactions); {
	case n > 0:
		return count(b.Waiting) + plural(b.Waiting, " message waits", " messages wait") + " for " + count(n) + plural(n, " open transaction", " open transactions")
	case b.Dead:
		return "message " + visible(b.ID) + " is dead, and comes first"
	default:
		return "message " + visible(b.ID) + " waits for its next attempt, and comes first"
	}
}

// detail is what a page about one type asks for beyond its state.
type detail struct {
	Order *entsignal.OrderCheck `json:"order,omitempty"` // for an ordered type
	// First is the signal that comes first in the order.
	First *entsignal.FailedSignal `json:"first,omitempty"`
	// FailedByError has the failed signals by their errors, the most frequent first, of
	// the first 10,001 at most.
	FailedByError []errorGroup `json:"failed_by_error"`

	failed []entsignal.FailedSignal // the first ones
}

// errorGroup is the failed signals with the same error.
type errorGroup struct {
	view.FailedGroup
	// ErrorID stands for the error in actions; the text may be redacted.
	ErrorID string `json:"error_id"`

	raw string
}

// maxGroups is how many groups are shown.
const maxGroups = 50

// signalDetail is what is known of one type, with the details.
type signalDetail struct {
	signalState
	detail
	DetailError string `json:"detail_error,omitempty"` // why details are missing, or old
}

// signalDetail returns the details of a type.
func (s *server) signalDetail(ctx context.Context, name string) (d signalDetail, _ error) {
	info, err := s.info(name)
	if err != nil {
		return d, err
	}
	var state sync.WaitGroup
	state.Go(func() { d.signalState = s.signal(ctx, info, s.loops()[name]) })
	details := s.types[name].detail.get(ctx, func(ctx context.Context) (detail, error) { return s.askDetail(ctx, info) })
	state.Wait()
	d.detail = details.value
	if d.FailedByError == nil {
		d.FailedByError = []errorGroup{}
	}
	if details.err != nil {
		d.DetailError = errorText(details.err)
	}
	return d, nil
}

func (s *server) askDetail(ctx context.Context, info entsignal.Info) (d detail, _ error) {
	only := entsignal.Only(info.Name)
	if view.Mode(info) == entsignal.ModeFlushOrdered {
		checks, err := s.bus.CheckOrder(ctx, only)
		if err != nil {
			return d, err
		}
		d.Order = &checks[0]
		first, err := s.bus.First(ctx, info.Name)
		switch {
		case err == nil:
			first.Error = secret.Redact(first.Error)
			d.First = &first
		case !errors.Is(err, entsignal.ErrNoSignal):
			return d, err
		}
	}
	failed, err := s.bus.Failed(ctx, only, entsignal.AtMost(countLimit))
	if err != nil && !errors.Is(err, entsignal.ErrNoRetry) {
		return d, err
	}
	for _, g := range view.GroupByError(failed) {
		group := errorGroup{FailedGroup: g, ErrorID: errorID(g.Error), raw: g.Error}
		group.Error = secret.Redact(g.Error)
		d.FailedByError = append(d.FailedByError, group)
	}
	d.failed = slices.Clone(failed[:min(len(failed), defaultPage+1)])
	for i := range d.failed {
		d.failed[i].Error = secret.Redact(d.failed[i].Error)
	}
	return d, nil
}

// errorID returns what stands for an error.
func errorID(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:8])
}

// errorOf returns the text of the error for which an id stands.
func (s *server) errorOf(ctx context.Context, name, id string) (string, error) {
	d, err := s.signalDetail(ctx, name)
	if err != nil {
		return "", err
	}
	for _, g := range d.FailedByError {
		if g.ErrorID == id {
			return g.raw, nil
		}
	}
	return "", &httpError{404, "no failed message has this error anymore"}
}

// expire makes everybody ask the database about a type anew.
func (s *server) expire(name string) {
	if l, ok := s.types[name]; ok {
		l.counts.expire()
		l.detail.expire()
	}
}

// errorText returns the text of an error as people see it: without the name of the
// type that it is shown with, and without passwords.
func errorText(err error) string {
	var flush *entsignal.FlushError
	if errors.As(err, &flush) {
		err = flush.Err
	}
	return cut(secret.Redact(err.Error()), maxText)
}

func timeOf(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
