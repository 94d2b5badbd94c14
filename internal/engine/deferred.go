package engine

import (
	"context"
	"sync"
)

// deferredKey finds what is deferred in a flush of a bus. A sender may well use the client of
// another bus.
type deferredKey struct{ of *Engine }

// deferred holds what senders committed with their own context while a flush
// ran. It is sent when that flush is done: at once would be within a claim,
// which on SQLite waits for itself.
type deferred struct {
	mu      sync.Mutex
	over    bool
	created []Created
}

// deferredOf returns what is deferred in the flush of this bus whose sender ctx comes
// from, or nil.
func (e *Engine) deferredOf(ctx context.Context) *deferred {
	d, _ := ctx.Value(deferredKey{e}).(*deferred)
	return d
}

// withDeferred returns the context of a flush, from which its senders get
// theirs, and what returns the signals that they have committed since it was
// called last. When there are none it ends: later ones aren't deferred anymore.
func (e *Engine) withDeferred(ctx context.Context) (context.Context, func() []Created) {
	d := &deferred{}
	return context.WithValue(ctx, deferredKey{e}, d), d.take
}

// add takes signals to be sent later. It reports false when it is too late
// for that.
func (d *deferred) add(created []Created) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.over {
		return false
	}
	d.created = append(d.created, created...)
	return true
}

func (d *deferred) take() []Created {
	d.mu.Lock()
	defer d.mu.Unlock()
	created := d.created
	d.created, d.over = nil, len(created) == 0
	return created
}
