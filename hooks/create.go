package hooks

import (
	"context"
	"sync"

	"entgo.io/ent"
	"entgo.io/ent/dialect"

	"github.com/entsignal/signalbus/internal/engine"
	"github.com/entsignal/signalbus/internal/entdriver"
)

// Mutation is what a hook needs to know about the mutation of a signal.
type Mutation struct {
	Driver dialect.Driver
	ID     any    // of the created row
	HasID  bool   // false if no row was created
	Bulk   *Group // nil if the row is not part of a bulk
	// Literal means that the client was made from a config literal that has our hooks
	// but not our state.
	Literal bool
}

// OnCreate returns the hook that notes the created signals of one type. They are
// sent after the commit of their transaction, or at once if they were created
// outside a transaction. read reads the generated mutation. It returns false for a
// mutation of another type.
func (c *Client[D, X]) OnCreate(name string, read func(ent.Mutation) (Mutation, bool)) ent.Hook {
	return func(next ent.Mutator) ent.Mutator { return &noting[D, X]{c, next, name, read} }
}

// noting is the mutator of such a hook.
type noting[D any, X Tx] struct {
	client *Client[D, X]
	next   ent.Mutator
	name   string
	read   func(ent.Mutation) (Mutation, bool)
}

// Mutate implements [ent.Mutator].
func (n *noting[D, X]) Mutate(ctx context.Context, m ent.Mutation) (ent.Value, error) {
	if n.client.bus == nil || !m.Op().Is(ent.OpCreate) {
		return n.next.Mutate(ctx, m)
	}
	n.client.bus.Recording(ctx, n.name, m)
	v, err := n.next.Mutate(ctx, m)
	if mutation, ok := n.read(m); ok {
		n.client.created(ctx, n.name, mutation, err == nil && mutation.HasID)
	}
	return v, err
}

// created notes one row; ok is false if its creation failed.
func (c *Client[D, X]) created(ctx context.Context, name string, m Mutation, ok bool) {
	var created []engine.Created
	if ok {
		created = append(created, engine.Created{Signal: name, ID: m.ID})
	}
	if m.Bulk != nil {
		created = m.Bulk.leave(created)
	}
	if len(created) == 0 {
		return
	}
	switch tx := c.Transaction(m.Driver); {
	case tx != nil && m.Literal:
		c.literal(ctx, tx).add(created...)
	case tx != nil:
		c.collect(tx, created...)
	case entdriver.IsPool(m.Driver):
		c.bus.Committed(ctx, created)
	default:
		c.bus.Executed(ctx, m.Driver, created)
	}
}

// Group collects the rows of a bulk, because ent runs their hooks one by one, last
// row first.
type Group struct {
	mu       sync.Mutex
	left     int
	backward []engine.Created
}

// NewGroup returns the group of a bulk of n rows.
func NewGroup(n int) *Group { return &Group{left: n} }

// Row is a row's place in a bulk. It is in the config of the row's mutation, and so
// also in clients that a hook makes from that mutation. What those create is not
// part of the bulk.
type Row struct {
	mutation ent.Mutation
	bulk     *Group
}

// Row returns the place of the row that m creates.
func (g *Group) Row(m ent.Mutation) *Row { return &Row{m, g} }

// Bulk returns the bulk if m is the mutation of its row, otherwise nil.
func (r *Row) Bulk(m ent.Mutation) *Group {
	if r == nil || r.mutation != m {
		return nil
	}
	return r.bulk
}

// leave adds what the hook of one row has noted. The last hook gets the signals of
// all rows, first row first.
func (g *Group) leave(created []engine.Created) []engine.Created {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.backward = append(g.backward, created...)
	if g.left--; g.left > 0 {
		return nil
	}
	all := make([]engine.Created, 0, len(g.backward))
	for i := len(g.backward) - 1; i >= 0; i-- {
		all = append(all, g.backward[i])
	}
	return all
}
