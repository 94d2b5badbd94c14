package hooks

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"entgo.io/ent"
	"entgo.io/ent/dialect"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
)

// fakeTx is a transaction of a generated package, without a database. It keeps
// the hooks that were added to it, and the statements that it executes.
type fakeTx struct {
	dialect.Driver
	inner    dialect.Tx
	commit   func(ctx context.Context, next func() error) error
	rollback func()
	executed []string
	refuses  string // statements with this text
}

func (*fakeTx) Commit() error   { return nil }
func (*fakeTx) Rollback() error { return nil }
func (*fakeTx) Dialect() string { return dialect.Postgres }

func (tx *fakeTx) Exec(_ context.Context, query string, _, _ any) error {
	if tx.refuses != "" && strings.Contains(query, tx.refuses) {
		return errRefused
	}
	tx.executed = append(tx.executed, query)
	return nil
}

func (tx *fakeTx) Query(ctx context.Context, query string, args, v any) error {
	return tx.Exec(ctx, query, args, v)
}

// fakeTxs are the transactions of that package, as far as these tests ask.
type fakeTxs struct {
	Transactions[fakeTx, *fakeTx]
}

func (fakeTxs) Inner(tx *fakeTx) dialect.Tx { return tx.inner }

func (fakeTxs) Watch(tx *fakeTx, commit func(context.Context, func() error) error, rollback func()) {
	tx.commit, tx.rollback = commit, rollback
}

func (fakeTxs) Outer(*fakeTx) dialect.Driver { return nil }

// pool is a driver outside of any transaction.
type pool struct {
	dialect.Driver
	name string
}

// told is what the error handler of a bus got.
type told struct {
	mu   sync.Mutex
	errs []error
}

func (h *told) handle(_ context.Context, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.errs = append(h.errs, err)
}

func (h *told) take() []error {
	h.mu.Lock()
	defer h.mu.Unlock()
	errs := h.errs
	h.errs = nil
	return errs
}

// newFake returns the state of a client whose bus is closed: it tells its error
// handler of each commit with signals, and sends nothing.
func newFake(t *testing.T) (*Client[fakeTx, *fakeTx], *told) {
	t.Helper()
	h := &told{}
	bus, err := NewBus(nil, entsignal.WithErrorHandler(h.handle))
	require.NoError(t, err)
	c := NewClient(fakeTxs{})
	c.Bind(bus, BusClient{
		Driver: func() dialect.Driver { return &pool{} },
		Detach: func(ctx context.Context) context.Context { return ctx },
	})
	require.NoError(t, bus.Close(t.Context()))
	return c, h
}

// creation is the mutation of one signal.
type creation struct {
	ent.Mutation
	op    ent.Op
	drv   dialect.Driver
	id    any // nil: no row was created
	group *Group
}

func (m *creation) Op() ent.Op { return m.op }

func readCreation(m ent.Mutation) (Mutation, bool) {
	c, ok := m.(*creation)
	if !ok {
		return Mutation{}, false
	}
	return Mutation{Driver: c.drv, ID: c.id, HasID: c.id != nil, Bulk: c.group}, true
}

var errRefused = errors.New("refused by the database")

// mutate runs the hook of the signal Event around a mutator that fails with err.
func mutate(t *testing.T, c *Client[fakeTx, *fakeTx], m ent.Mutation, err error) {
	t.Helper()
	database := ent.MutateFunc(func(context.Context, ent.Mutation) (ent.Value, error) { return "row", err })
	v, got := c.OnCreate("Event", readCreation)(database).Mutate(t.Context(), m)
	require.Equal(t, "row", v)
	require.Equal(t, err, got)
}

// collected are the ids that wait for the end of the transaction.
func collected(c *Client[fakeTx, *fakeTx], tx *fakeTx) (ids []any) {
	col, _ := c.open.of(tx)
	for _, created := range col.created {
		ids = append(ids, created.ID)
	}
	return ids
}
