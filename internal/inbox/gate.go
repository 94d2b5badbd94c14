package inbox

import (
	"context"
	"fmt"
	"sync"

	"github.com/entsignal/signalbus/entsignal"
)

// A Gate lets one delivery of a message at a time begin its transaction, among those in
// this process. The others wait here, where they hold no connection of the pool. In the
// database a second one would wait for the first, and on PostgreSQL, under REPEATABLE
// READ, it would then fail and have to begin again. Other processes still wait in the
// database. The zero Gate is ready to use.
type Gate struct {
	mu   sync.Mutex
	busy map[delivery]chan struct{} // closed when the delivery has been handled
}

// delivery names a message in the table of an inbox.
type delivery struct {
	schema, table string
	key           entsignal.MessageKey
}

// Enter waits until no delivery of the message is being handled, and returns a function to
// call when this one has been. It returns an error if ctx ends first.
func (g *Gate) Enter(ctx context.Context, in Inbox, key entsignal.MessageKey) (leave func(), _ error) {
	d := delivery{in.Schema, in.Table, key}
	for {
		busy, ok := g.take(d)
		if ok {
			return func() { g.free(d, busy) }, nil
		}
		select {
		case <-busy:
		case <-ctx.Done():
			return nil, in.wrap(fmt.Errorf("another delivery of the message is being handled: %w", context.Cause(ctx)))
		}
	}
}

// take returns the channel of the delivery that is being handled, and whether it is the
// caller's.
func (g *Gate) take(d delivery) (busy chan struct{}, mine bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if busy, ok := g.busy[d]; ok {
		return busy, false
	}
	if g.busy == nil {
		g.busy = make(map[delivery]chan struct{})
	}
	busy = make(chan struct{})
	g.busy[d] = busy
	return busy, true
}

func (g *Gate) free(d delivery, busy chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.busy, d)
	close(busy)
}
