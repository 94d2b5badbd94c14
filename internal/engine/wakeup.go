package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/internal/budget"
	"github.com/entsignal/signalbus/internal/foreign"
)

const (
	proveTime = 1500 * time.Millisecond
	// proveAgain is how long after a proof that failed to try once more.
	proveAgain = time.Minute
	// The pauses before Listen is called again after an error.
	minListenPause = 500 * time.Millisecond
	maxListenPause = 30 * time.Second
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
	failed := false
	for pause := minListenPause; ; pause = min(2*pause, maxListenPause) {
		began := time.Now()
		err := e.listenOnce(ctx, wake)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			err = errors.New("the method Listen returned, and its context has not ended")
		}
		wake(nil) // what was told meanwhile is lost
		if time.Since(began) > maxListenPause {
			pause, failed = minListenPause, false
		}
		e.relay.disproven(err)
		if !failed {
			e.log.WarnContext(ctx, "relay: listening for the wake-up failed, polling meanwhile", slog.Any("error", err))
		}
		failed = true
		if !e.pause(ctx, pause) {
			return
		}
	}
}

// listenOnce calls Listen. If that doesn't return when ctx has ended, it is left
// behind.
func (e *Engine) listenOnce(ctx context.Context, wake func([]string)) error {
	returned := make(chan error, 1)
	go func() {
		_, err := foreign.Call(func() (struct{}, error) { return struct{}{}, e.wakeUp.Listen(ctx, wake) })
		returned <- err
	}()
	select {
	case err := <-returned:
		return err
	case <-ctx.Done():
	}
	return e.awaitEnd(ctx, returned)
}

// awaitEnd waits for a call whose context has ended, and leaves it behind if it
// takes its time.
func (e *Engine) awaitEnd(ctx context.Context, returned <-chan error) error {
	timer := time.NewTimer(e.budget.Settle())
	defer timer.Stop()
	select {
	case err := <-returned:
		return err
	case <-timer.C:
		e.life.LeaveBehind(func() { <-returned }) //nolint:errcheck // nobody waits for its error any more
		return fmt.Errorf("%w: %w", budget.ErrStuck, ctx.Err())
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
		again := (<-chan time.Time)(nil)
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
			timer := time.NewTimer(proveAgain)
			defer timer.Stop()
			again = timer.C
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
	returned := make(chan error, 1)
	go func() {
		_, err := foreign.Call(func() (struct{}, error) { return struct{}{}, prover.Prove(ctx) })
		returned <- err
	}()
	select {
	case err := <-returned:
		return err
	case <-ctx.Done():
		return e.awaitEnd(ctx, returned)
	}
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
