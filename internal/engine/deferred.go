package engine

import (
	"context"
	"sync"
)

// deferredKey is the context key of what is deferred in a flush of this bus. A
// sender may use the client of another bus.
type deferredKey struct{ of *Engine }

// deferred holds what senders committed with their own context during a flush. It
// is sent after that flush. Sending it at once would happen within a claim, and on
// SQLite such a claim would wait for itself.
type deferred struct {
	mu     sync.Mutex
	over   bool
	groups []typeGroup
}

// deferredOf returns what is deferred in the flush of this bus from whose sender
// ctx comes, or nil.
func (e *Engine) deferredOf(ctx context.Context) *deferred {
	d, _ := ctx.Value(deferredKey{e}).(*deferred)
	return d
}

// withDeferred returns the context of a flush, which its senders inherit, and a
// function that returns the signals they have committed since its last call. Once
// it returns none, later signals are no longer deferred.
func (e *Engine) withDeferred(ctx context.Context) (context.Context, func() []typeGroup) {
	d := &deferred{}
	return context.WithValue(ctx, deferredKey{e}, d), d.take
}

// add defers signals. It returns false if it is too late for that.
func (d *deferred) add(groups []typeGroup) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.over {
		return false
	}
	for _, group := range groups {
		d.groups = addGroup(d.groups, group.name, group.ids...)
	}
	return true
}

func (d *deferred) take() []typeGroup {
	d.mu.Lock()
	defer d.mu.Unlock()
	groups := d.groups
	d.groups, d.over = nil, len(groups) == 0
	return groups
}
