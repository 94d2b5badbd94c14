package hooks

import (
	"context"
	"sync"

	"entgo.io/ent"
	"entgo.io/ent/dialect"

	"github.com/entsignal/signalbus/entsignal"
)

// Mutation is what a hook needs of the mutation of a signal.
type Mutation struct {
	Driver dialect.Driver
	ID     any    // of the created row
	HasID  bool   // false if no row was created
	Bulk   *Group // nil if the row is not of a bulk
}

// OnCreate returns the hook that notes the created signals of one type: for
// their transaction's commit, or to be sent at once if they were created
// outside of one. read reads the generated mutation; it reports false for one
// of another type.
func (c *Client[D, X]) OnCreate(name string, read func(ent.Mutation) (Mutation, bool)) ent.Hook {
	return func(next ent.Mutator) ent.Mutator {
		return ent.MutateFunc(func(ctx context.Context, m ent.Mutation) (ent.Value, error) {
			v, err := next.Mutate(ctx, m)
			if c.bus == nil || !m.Op().Is(ent.OpCreate) {
				return v, err
			}
			if mutation, ok := read(m); ok {
				c.created(ctx, name, mutation, err == nil && mutation.HasID)
			}
			return v, err
		})
	}
}

// created takes note of one row; ok is false if it failed.
func (c *Client[D, X]) created(ctx context.Context, name string, m Mutation, ok bool) {
	var created []entsignal.Created
	if ok {
		created = append(created, entsignal.Created{Signal: name, ID: m.ID})
	}
	if m.Bulk != nil {
		created = m.Bulk.leave(created)
	}
	if len(created) == 0 {
		return
	}
	if tx := c.Transaction(m.Driver); tx != nil {
		c.collect(tx, created...)
	} else if isPool(m.Driver) {
		c.bus.Committed(ctx, created)
	}
}

// Group makes the rows of a bulk one: their hooks run one by one, and last to
// first.
type Group struct {
	mu       sync.Mutex
	left     int
	backward []entsignal.Created
}

// NewGroup returns the group of a bulk of n rows.
func NewGroup(n int) *Group { return &Group{left: n} }

// leave takes what the hook of one row has noted. The hook that leaves last
// gets it all, first row first.
func (g *Group) leave(created []entsignal.Created) []entsignal.Created {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.backward = append(g.backward, created...)
	if g.left--; g.left > 0 {
		return nil
	}
	all := make([]entsignal.Created, 0, len(g.backward))
	for i := len(g.backward) - 1; i >= 0; i-- {
		all = append(all, g.backward[i])
	}
	return all
}
