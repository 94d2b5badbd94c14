package engine

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/internal/database"
	"github.com/entsignal/signalbus/internal/option"
)

// slack is how many flush timeouts a loop may be late before it counts as stuck, on
// top of the wait of a Flush.
const slack = 3

// loopState is what others see of a loop. Its methods may be called by several
// goroutines.
type loopState struct {
	patience time.Duration // with a loop that is late

	mu     sync.Mutex
	state  entsignal.LoopState
	by     time.Time // when the loop should have moved again
	strays int       // queries that were left behind
	back   chan struct{}
}

func (s *loopState) init(l *loop) {
	o := option.DefaultFlush()
	s.patience = slack*l.engine.budget.Total() + o.FlushWait()
	s.state = entsignal.LoopState{Signal: l.info.Name, Mode: l.mode(false), Moved: time.Now()}
	s.by = time.Now().Add(s.patience)
	s.back = make(chan struct{}, 1)
}

func (s *loopState) get(now time.Time) entsignal.LoopState {
	s.mu.Lock()
	defer s.mu.Unlock()
	state := s.state
	state.Stuck = now.After(s.by)
	return state
}

func (s *loopState) moves(next time.Duration) {
	s.state.Moved = time.Now()
	s.by = s.state.Moved.Add(next + s.patience)
}

// begins notes the begin of a pass.
func (s *loopState) begins(mode entsignal.Mode) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state.Mode = mode
	s.moves(0)
}

// ended notes the end of a pass; cut says that the loop is to end.
func (s *loopState) ended(p aPass, cut bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.moves(0)
	s.state.Begun = true
	s.state.Sent += int64(p.sent)
	// The end of the loop ends queries too, of which drivers tell as of failures. But it never
	// keeps what was sent from being deleted.
	if cut && !errors.As(p.err, new(*database.NotDeletedError)) && (onlyBusy(p.err) || errors.Is(p.err, entsignal.ErrClosed) || errors.Is(p.err, context.Canceled) || errors.Is(p.err, context.DeadlineExceeded)) {
		return
	}
	s.state.Passes++
	if p.err == nil || onlyBusy(p.err) {
		if !p.provesNothing {
			s.state.Err, s.state.FailingSince = nil, time.Time{}
		}
		return
	}
	s.state.Failed++
	s.state.Err = p.err
	if s.state.FailingSince.IsZero() {
		s.state.FailingSince = s.state.Moved
	}
}

// hasStrays reports whether a query is left behind. It may be a sender that hangs.
func (s *loopState) hasStrays() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.strays > 0
}

// rests notes that the loop rests for d at most.
func (s *loopState) rests(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.moves(d)
}

// awaitStrays waits while too many queries are left behind. It reports false if ctx
// ends first.
func (s *loopState) awaitStrays(ctx context.Context) bool {
	for {
		s.mu.Lock()
		n := s.strays
		s.mu.Unlock()
		if n < maxStrays {
			return true
		}
		select {
		case <-s.back:
		case <-ctx.Done():
			return false
		}
	}
}

type loopKey struct{}

// Began implements [budget.Witness]: a query of the loop has begun.
func (s *loopState) Began() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.moves(0)
}

// Ended implements [budget.Witness]: a query of the loop has ended, or is over for it.
func (s *loopState) Ended() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.moves(0)
	s.state.Begun = true
}

// LeftBehind implements [budget.Witness]: a query of the loop goes on alone.
func (s *loopState) LeftBehind() (returned func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.strays++
	return func() {
		s.mu.Lock()
		s.strays--
		s.mu.Unlock()
		select {
		case s.back <- struct{}{}:
		default:
		}
	}
}

// ofLoop reports whether ctx is that of a pass of a loop.
func ofLoop(ctx context.Context) bool { return ctx.Value(loopKey{}) != nil }
