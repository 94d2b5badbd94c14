package hooks

import (
	"runtime"
	"slices"
	"sync"
	"weak"

	"entgo.io/ent/dialect"

	"github.com/entsignal/signalbus/internal/entdriver"
)

// Clients knows the clients of a generated package, for one that was made of a
// config literal: templates of projects do that, and leave out the field with
// the client's state. Nothing else can hold them. If the literal has the hooks
// of the client, they lead to its state; if it has hooks of its own, all that it
// shares is the driver, which is ent's or the application's and has no place for
// our state. The references are weak, so that a client lives no longer for it.
// The zero value is ready; the methods may be called by several goroutines.
type Clients[D any, X Tx] struct {
	mu  sync.Mutex
	all []weak.Pointer[Client[D, X]]
}

// Add adds a new client, when its options are applied.
func (cs *Clients[D, X]) Add(c *Client[D, X], driver dialect.Driver) {
	c.driver = driver
	key := weak.Make(c)
	cs.mu.Lock()
	defer cs.mu.Unlock()
	cs.all = append(cs.all, key)
	runtime.AddCleanup(c, cs.forget, key)
}

func (cs *Clients[D, X]) forget(key weak.Pointer[Client[D, X]]) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	cs.all = slices.DeleteFunc(cs.all, func(p weak.Pointer[Client[D, X]]) bool { return p == key })
}

// Of returns the state of the client that works through drv, one with a bus if
// there are several. If there is none it returns a new state without a bus,
// which belongs to nobody.
func (cs *Clients[D, X]) Of(txs Transactions[D, X], drv dialect.Driver) *Client[D, X] {
	stray := NewClient(txs)
	root := stray.root(drv)
	var found *Client[D, X]
	for _, c := range cs.alive() {
		switch {
		case c.bus != nil && entdriver.IsSame(root, c.root(c.driver)):
			return c
		case found == nil && entdriver.IsSame(root, c.root(c.driver)):
			found = c
		case c.bus != nil:
			stray.witnesses = append(stray.witnesses, c.bus)
		}
	}
	if found != nil {
		return found
	}
	return stray
}

func (cs *Clients[D, X]) alive() (all []*Client[D, X]) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	for _, p := range cs.all {
		if c := p.Value(); c != nil {
			all = append(all, c)
		}
	}
	return all
}

// root returns the driver that a client was opened with, of which drv may be a
// transaction.
func (c *Client[D, X]) root(drv dialect.Driver) dialect.Driver {
	for {
		switch d := drv.(type) {
		case *dialect.DebugDriver:
			drv = d.Driver
		case *before:
			drv = d.Driver
		default:
			tx := c.Transaction(drv)
			if tx == nil {
				return drv
			}
			drv = c.txs.Outer(tx)
		}
	}
}
