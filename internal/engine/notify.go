package engine

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/entsignal/signalbus/internal/foreign"
)

const (
	// notifyEvery is the shortest time between two notifications. Without it, 32
	// writers that notify after each commit were measured to lose an eighth of their
	// commits; with it nothing.
	notifyEvery = 10 * time.Millisecond
	// notifyTime is how long one notification may take.
	notifyTime = 2 * time.Second
)

// A notifier tells other processes what commits have left pending. Its goroutine
// runs only while there is something to tell; the bus waits for it when it closes.
type notifier struct {
	mu      sync.Mutex
	waiting map[string]bool // the signals to tell of
	running bool
	failed  bool
}

// leavePending is called after a commit that leaves signals of these types pending,
// as far as this process is concerned. It waits for nothing.
func (e *Engine) leavePending(signals ...string) {
	e.relay.awaken(signals)
	if e.wakeUp == nil {
		return
	}
	n := &e.notices
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.waiting == nil {
		n.waiting = make(map[string]bool)
	}
	for _, name := range signals {
		n.waiting[name] = true
	}
	if n.running || e.life.Enter() != nil { // who closes the bus has other things to do
		return
	}
	n.running = true
	go func() {
		defer e.life.Leave()
		e.notify()
	}()
}

// notify tells of what waits until nothing does.
func (e *Engine) notify() {
	n := &e.notices
	for {
		n.mu.Lock()
		if len(n.waiting) == 0 {
			n.running = false
			n.mu.Unlock()
			return
		}
		signals := slices.Sorted(maps.Keys(n.waiting))
		clear(n.waiting)
		n.mu.Unlock()
		e.notifyOf(signals)
		e.pause(context.Background(), notifyEvery)
	}
}

// notifyOf tells of signals, and logs when that begins to fail and when it works
// again.
func (e *Engine) notifyOf(signals []string) {
	ctx, cancel := context.WithTimeout(context.Background(), notifyTime)
	defer cancel()
	_, err := foreign.Call(func() (struct{}, error) { return struct{}{}, e.wakeUp.Notify(ctx, signals) })
	failed := err != nil
	if failed == e.notices.failed {
		return
	}
	e.notices.failed = failed
	if failed {
		e.log.WarnContext(ctx, "waking other processes failed; they find by a poll what is pending", slog.Any("error", err))
	} else {
		e.log.InfoContext(ctx, "other processes are woken again")
	}
}

// toSend returns those of the groups of a commit that an autoflush is to send. Of
// the others the relays are told.
func (e *Engine) toSend(groups []typeGroup) (send []typeGroup) {
	on := e.AutoFlush()
	var left []string
	for _, group := range groups {
		if on && e.autoFlushes(group.name) {
			send = append(send, group)
		} else {
			left = append(left, group.name)
		}
	}
	if len(left) > 0 {
		e.leavePending(left...)
	}
	return send
}

// autoFlushes reports whether commits send the signals of that name.
func (e *Engine) autoFlushes(name string) bool {
	for _, t := range e.types {
		if t.info.Name == name {
			return t.info.AutoFlush
		}
	}
	return true // to be told that it is unknown
}

// autoFlushesAny reports whether commits send any of the signals.
func (e *Engine) autoFlushesAny(created []Created) bool {
	return slices.ContainsFunc(created, func(c Created) bool { return e.autoFlushes(c.Signal) })
}
