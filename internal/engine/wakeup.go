package engine

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/internal/backoff"
	"github.com/entsignal/signalbus/internal/budget"
)

const (
	proveTime = 1500 * time.Millisecond
	// proveAgain is how long after a proof that failed to try once more.
	proveAgain = time.Minute
)

// listen has the wake-up wake the loops until ctx ends.
func (e *Engine) listen(ctx context.Context) {
	changed := make(chan struct{}, 1) // the wake-up may work, or not work, from now on
	proven := make(chan struct{})
	go func() {
		defer close(proven)
		e.prove(ctx, changed)
	}()
	defer func() { <-proven }()
	wake := func(signals []string) {
		e.relay.received(signals == nil)
		if signals == nil {
			select {
			case changed <- struct{}{}:
			default:
			}
		}
		e.relay.awaken(signals)
	}
	pauses := backoff.Doubling{Min: 500 * time.Millisecond, Max: 30 * time.Second}
	for failures := 0; ; failures++ {
		began := time.Now()
		_, err := budget.Await(ctx, e.budget, func() (struct{}, error) { return struct{}{}, e.wakeUp.Listen(ctx, wake) })
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			err = errors.New("the method Listen returned, and its context has not ended")
		}
		wake(nil) // what was told meanwhile is lost
		if time.Since(began) > pauses.Max {
			failures = 0
		}
		e.relay.disproven(err)
		if failures == 0 {
			e.log.WarnContext(ctx, "relay: listening for the wake-up failed, polling meanwhile", slog.Any("error", err))
		}
		if !e.pause(ctx, pauses.Pause(failures)) {
			return
		}
	}
}

// prove finds out whether the wake-up works, whenever that may have changed.
func (e *Engine) prove(ctx context.Context, changed <-chan struct{}) {
	prover, ok := e.wakeUp.(entsignal.Prover)
	if !ok {
		return
	}
	told := false
	for {
		err := e.proveOnce(ctx, prover)
		if ctx.Err() != nil {
			return
		}
		var again <-chan time.Time
		if err == nil {
			if e.relay.proven() && told {
				e.log.InfoContext(ctx, "relay: the wake-up works")
			}
			told = false
		} else {
			e.relay.disproven(err)
			if !told {
				e.log.WarnContext(ctx, "relay: the wake-up does not work, polling instead", slog.Any("error", err))
			}
			told = true
			again = time.After(proveAgain)
		}
		select {
		case <-changed:
		case <-again:
		case <-ctx.Done():
			return
		}
	}
}

func (e *Engine) proveOnce(ctx context.Context, prover entsignal.Prover) error {
	ctx, cancel := context.WithTimeout(ctx, proveTime)
	defer cancel()
	_, err := budget.Await(ctx, e.budget, func() (struct{}, error) { return struct{}{}, prover.Prove(ctx) })
	return err
}

// awaken wakes the loops of these signals; nil stands for all.
func (r *relay) awaken(signals []string) {
	for _, l := range r.all() {
		if signals == nil {
			l.awaken()
			continue
		}
		for _, name := range signals {
			if name == l.info.Name {
				l.awaken()
			}
		}
	}
}

// received notes that a notification came; lost says that others may be lost.
func (r *relay) received(lost bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if lost {
		r.wakeUp.Proven = false
	} else {
		r.wakeUp.Received++
	}
}

// proven notes that the wake-up works, and reports whether that is news.
func (r *relay) proven() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	news := !r.wakeUp.Proven
	r.wakeUp.Proven, r.wakeUp.Err = true, nil
	return news
}

func (r *relay) disproven(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.wakeUp.Proven, r.wakeUp.Err = false, err
}

func (r *relay) isProven() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.wakeUp.Proven
}

func (r *relay) wakeUpState(configured bool) entsignal.WakeUpState {
	r.mu.Lock()
	defer r.mu.Unlock()
	state := r.wakeUp
	state.Configured = configured
	return state
}
