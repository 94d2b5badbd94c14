package engine

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/internal/option"
)

// Run sends what is pending and what becomes pending, with a loop for each type:
//
//	commit ──▶ leavePending ──┬─▶ wakes the loop of the type ──▶ a pass: Flush
//	                          └─▶ notifier ──▶ WakeUp ──▶ other processes
//	WakeUp of others ──▶ listen ──▶ wakes the loop
func (e *Engine) Run(ctx context.Context, o option.Flush) error {
	chosen, err := e.choose(o)
	if err != nil {
		return err
	}
	if err := e.life.Enter(); err != nil {
		return err
	}
	defer e.life.Leave()
	if _, err := e.store(); err != nil {
		return err
	}
	var loops []*loop
	for _, t := range chosen {
		switch {
		case t.HasSender():
			loops = append(loops, newLoop(e, t, o))
		case o.Only != nil:
			return fmt.Errorf("%w for %s", entsignal.ErrNoSender, t.info.Name)
		default:
			e.logNoSender(ctx, t.info.Name)
		}
	}
	ctx, end := e.life.UntilClosed(ctx)
	defer end()
	e.relay.add(loops)
	defer e.relay.remove(loops)
	var names []string
	for _, l := range loops {
		names = append(names, l.info.Name)
	}
	e.log.InfoContext(ctx, "relay started", slog.Any("signals", names))
	var all sync.WaitGroup
	if e.wakeUp != nil {
		all.Go(func() { e.listen(ctx) })
	}
	for _, l := range loops {
		all.Go(func() { l.run(ctx) })
	}
	all.Go(func() { e.keepPurging(ctx) })
	<-ctx.Done()
	all.Wait()
	e.log.InfoContext(ctx, "relay stopped")
	return nil
}

// RunState tells what Run does.
func (e *Engine) RunState() entsignal.RunState {
	s := entsignal.RunState{WakeUp: e.relay.wakeUpState(e.wakeUp != nil)}
	e.relay.mu.Lock()
	defer e.relay.mu.Unlock()
	s.Sent, s.Failed = e.relay.sent, e.relay.failed
	for _, l := range e.relay.all() {
		state := l.state.get(time.Now())
		s.Loops = append(s.Loops, state)
		s.Sent += state.Sent
		s.Failed += state.Failed
	}
	return s
}

// A relay is what all calls of Run of a bus share.
type relay struct {
	loops  atomic.Pointer[[]*loop]
	mu     sync.Mutex // guards the changes of loops, and what follows
	wakeUp entsignal.WakeUpState
	// What loops have done that have ended.
	sent, failed int64
}

// all returns the loops. Commits ask for them, so it takes no lock.
func (r *relay) all() []*loop {
	if loops := r.loops.Load(); loops != nil {
		return *loops
	}
	return nil
}

func (r *relay) add(loops []*loop) {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := append(append([]*loop{}, r.all()...), loops...)
	r.loops.Store(&all)
}

func (r *relay) remove(loops []*loop) {
	r.mu.Lock()
	defer r.mu.Unlock()
	gone := make(map[*loop]bool)
	for _, l := range loops {
		gone[l] = true
	}
	var left []*loop
	for _, l := range r.all() {
		if !gone[l] {
			left = append(left, l)
			continue
		}
		done := l.state.get(time.Now())
		r.sent += done.Sent
		r.failed += done.Failed
	}
	r.loops.Store(&left)
	if len(left) == 0 {
		r.wakeUp = entsignal.WakeUpState{}
	}
}
