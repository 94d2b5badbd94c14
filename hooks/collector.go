package hooks

import (
	"context"
	"runtime"
	"sync"
	"weak"

	"github.com/entsignal/signalbus/internal/engine"
)

// collector holds the signals that one transaction has created.
type collector struct {
	mu      sync.Mutex
	created []engine.Created
	late    []late
}

// late is a signal that is about to be created. Its id is known only later.
type late struct {
	signal string
	id     func() (any, bool) // false: it was not created
}

func (c *collector) add(created ...engine.Created) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.created = append(c.created, created...)
}

func (c *collector) addLate(signals ...late) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.late = append(c.late, signals...)
}

// take returns what was created, and empties the collector.
func (c *collector) take() []engine.Created {
	c.mu.Lock()
	defer c.mu.Unlock()
	created := c.created
	for _, l := range c.late {
		if id, ok := l.id(); ok {
			created = append(created, engine.Created{Signal: l.signal, ID: id})
		}
	}
	c.created, c.late = nil, nil
	return created
}

// collectors maps each open transaction to its collector. The key is the
// transaction's driver, because ent makes a new *Tx for each mutation that asks for
// one. The key is weak, so that a transaction that is never committed or rolled
// back leaves nothing behind.
type collectors[D any] struct {
	mu sync.Mutex
	m  map[weak.Pointer[D]]*collector
}

// of returns the collector of tx, and whether it was made by this call.
func (cs *collectors[D]) of(tx *D) (_ *collector, isNew bool) {
	key := weak.Make(tx)
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if c, ok := cs.m[key]; ok {
		return c, false
	}
	if cs.m == nil {
		cs.m = make(map[weak.Pointer[D]]*collector)
	}
	c := &collector{}
	cs.m[key] = c
	runtime.AddCleanup(tx, cs.forget, key)
	return c, true
}

func (cs *collectors[D]) forget(key weak.Pointer[D]) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	delete(cs.m, key)
}

// collect notes signals of the transaction tx, which ent's Tx will end.
func (c *Client[D, X]) collect(tx *D, created ...engine.Created) {
	col, isNew := c.open.of(tx)
	col.add(created...)
	if isNew {
		c.watch(tx, col)
	}
}

// watch empties the collector when tx ends, and passes its signals to the bus after
// a commit.
func (c *Client[D, X]) watch(tx *D, col *collector) {
	key := weak.Make(tx)
	c.txs.Watch(tx,
		func(ctx context.Context, next func() error) error {
			// A commit that fails ends the transaction too.
			defer c.open.forget(key)
			if err := next(); err != nil {
				col.take()
				return err
			}
			c.bus.Committed(ctx, col.take())
			return nil
		},
		func() {
			c.open.forget(key)
			col.take()
		})
}
