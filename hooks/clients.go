package hooks

import (
	"runtime"
	"slices"
	"sync"
	"weak"

	"entgo.io/ent/dialect"

	"github.com/entsignal/signalbus/internal/entdriver"
)

// Clients lists the clients of a generated package. It is needed for clients that
// templates of a project make from a config literal, which lacks the field with the
// client's state. If the literal has the hooks of the original client, they lead to
// its state. Otherwise the only thing that both share is the driver, which belongs
// to ent or to the application and can't hold our state. The references are weak,
// so they don't keep a client alive. The zero value is ready to use. The methods
// are safe for concurrent use.
type Clients[D any, X Tx] struct {
	mu  sync.Mutex
	all []weak.Pointer[Client[D, X]]
}

// Add adds a new client. It is called after the client's options are applied.
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

// Of returns the state of the client that works with drv; if there are several, one
// with a bus. If there is none, it returns a new state without a bus that belongs
// to no client.
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

// root returns the driver that the client was opened with, if drv is that driver or
// one of its transactions.
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
