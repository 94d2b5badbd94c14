package hooks

import (
	"context"
	"runtime"
	"testing"
	"time"

	"entgo.io/ent"
	"entgo.io/ent/dialect"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
)

func TestOutermostTransactionCounts(t *testing.T) {
	outer := &fakeTx{}
	debug := &dialect.DebugTx{Tx: outer}
	inner := &fakeTx{inner: debug}
	var none *fakeTx
	for name, tc := range map[string]struct {
		drv  dialect.Driver
		want *fakeTx
	}{
		"none":               {&pool{}, nil},
		"none, debugged":     {&dialect.DebugDriver{Driver: &pool{}}, nil},
		"nil":                {none, nil},
		"one":                {outer, outer},
		"debugged":           {&dialect.DebugDriver{Driver: outer}, outer},
		"before a statement": {&before{Driver: &dialect.DebugDriver{Driver: outer}}, outer},
		"one in another":     {&dialect.DebugDriver{Driver: inner}, outer},
	} {
		assert.Same(t, tc.want, Transaction(fakeTxs{}, tc.drv), name)
	}
}

func TestFlushAndSendInATransactionAreRefused(t *testing.T) {
	c, _ := newFake(t)
	tx := &dialect.DebugDriver{Driver: &fakeTx{}}
	_, err := c.Flush(t.Context(), tx, entsignal.ModeFlush, "Event", nil)
	require.ErrorIs(t, err, entsignal.ErrInTx)
	_, err = c.Send(t.Context(), tx, "Event", []any{1})
	require.ErrorIs(t, err, entsignal.ErrInTx)

	unbound := NewClient(fakeTxs{})
	_, err = unbound.Flush(t.Context(), &pool{}, entsignal.ModeFlush, "Event", nil)
	require.ErrorIs(t, err, entsignal.ErrUnbound)
	_, err = unbound.Send(t.Context(), &pool{}, "Event", []any{1})
	require.ErrorIs(t, err, entsignal.ErrUnbound)
}

func TestSomethingIsDoneBeforeTheFirstStatementOnly(t *testing.T) {
	for name, statement := range map[string]func(d dialect.Driver) error{
		"Exec":  func(d dialect.Driver) error { return d.Exec(t.Context(), "INSERT", nil, nil) },
		"Query": func(d dialect.Driver) error { return d.Query(t.Context(), "INSERT", nil, nil) },
	} {
		tx := &fakeTx{}
		d := &before{Driver: tx, do: func(context.Context) error { return tx.Exec(t.Context(), "LOCK", nil, nil) }}
		require.NoError(t, statement(d))
		require.NoError(t, statement(d))
		assert.Equal(t, []string{"LOCK", "INSERT", "INSERT"}, tx.executed, name)

		tx = &fakeTx{}
		d = &before{Driver: tx, do: func(context.Context) error { return errRefused }}
		require.ErrorIs(t, statement(d), errRefused)
		assert.Empty(t, tx.executed, name)
	}
	d := &before{Driver: &fakeTx{}, do: func(context.Context) error { return errRefused }}
	_, err := d.Tx(t.Context())
	require.ErrorIs(t, err, errRefused, "a bulk may begin a transaction")
}

func TestKeyIsLockedBeforeItsSignalIsNotedAndInserted(t *testing.T) {
	c, _ := newFake(t)
	tx := &fakeTx{}
	drv := c.LockKey(c.Note(tx, nil, "Event", func() (any, bool) { return 1, true }), "Event", "events", "key")
	require.NoError(t, drv.Exec(t.Context(), "INSERT", nil, nil))
	require.Len(t, tx.executed, 2)
	assert.Contains(t, tx.executed[0], "pg_advisory_xact_lock")
	assert.Equal(t, "INSERT", tx.executed[1])

	refusing := &fakeTx{refuses: "pg_advisory_xact_lock"}
	drv = c.LockKey(c.Note(refusing, nil, "Event", func() (any, bool) { return 1, true }), "Event", "events", "key")
	require.ErrorIs(t, drv.Exec(t.Context(), "INSERT", nil, nil), errRefused)
	col, _ := c.open.of(refusing)
	assert.Empty(t, col.take(), "a signal that is not inserted is not noted")

	err := c.LockKey(&pool{}, "Event", "events", "key").Exec(t.Context(), "INSERT", nil, nil)
	require.ErrorIs(t, err, entsignal.ErrNoTx)
	_, err = c.Lock(&pool{}, "id", 1, nil)
	require.ErrorIs(t, err, entsignal.ErrNoTx)
}

func TestBuilderNotesASignalItselfOnlyWhereNoHookOfOursSeesIt(t *testing.T) {
	c, _ := newFake(t)
	tx := &fakeTx{}
	id := func() (any, bool) { return 1, true }
	ours := []ent.Hook{c.OnCreate("Event", readCreation)}
	assert.Same(t, tx, c.Note(tx, ours, "Event", id))
	assert.NotSame(t, tx, c.Note(tx, nil, "Event", id))
	others := []ent.Hook{func(next ent.Mutator) ent.Mutator { return next }}
	assert.NotSame(t, tx, c.Note(tx, others, "Event", id))
}

func TestClientOfALiteralIsFoundByItsDriver(t *testing.T) {
	var cs Clients[fakeTx, *fakeTx]
	drv, another := &pool{name: "a"}, &pool{name: "b"}
	recording, bound, elsewhere := NewClient(fakeTxs{}), bind(t), bind(t)
	cs.Add(recording, drv)
	assert.Same(t, recording, cs.Of(fakeTxs{}, &dialect.DebugDriver{Driver: drv}))
	cs.Add(bound, drv)
	cs.Add(elsewhere, another)
	assert.Same(t, bound, cs.Of(fakeTxs{}, drv), "the one with a bus")
	assert.Same(t, elsewhere, cs.Of(fakeTxs{}, another))

	stray := cs.Of(fakeTxs{}, &pool{name: "c"})
	assert.Nil(t, stray.bus)
	assert.Len(t, stray.witnesses, 2, "each bus may log what is missed")
	runtime.KeepAlive(recording)
	runtime.KeepAlive(bound)
	runtime.KeepAlive(elsewhere)
}

func bind(t *testing.T) *Client[fakeTx, *fakeTx] {
	t.Helper()
	c, _ := newFake(t)
	return c
}

func TestClientIsNotKeptForThoseOfLiterals(t *testing.T) {
	var cs Clients[fakeTx, *fakeTx]
	for range 10 {
		cs.Add(NewClient(fakeTxs{}), &pool{})
	}
	require.Eventually(t, func() bool {
		runtime.GC()
		cs.mu.Lock()
		defer cs.mu.Unlock()
		return len(cs.all) == 0
	}, time.Minute, time.Millisecond)
}
