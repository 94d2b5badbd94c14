package hooks

import (
	"testing"

	"entgo.io/ent"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
)

func TestCreatedSignalsWaitForTheCommitOfTheirTransaction(t *testing.T) {
	c, told := newFake(t)
	tx, other := &fakeTx{}, &fakeTx{}
	for id := 1; id <= 3; id++ {
		mutate(t, c, &creation{op: ent.OpCreate, drv: tx, id: id}, nil)
	}
	mutate(t, c, &creation{op: ent.OpCreate, drv: other, id: 9}, nil)
	assert.Equal(t, []any{1, 2, 3}, collected(c, tx))
	assert.Equal(t, []any{9}, collected(c, other))
	assert.Empty(t, told.take())

	require.NoError(t, tx.commit(t.Context(), func() error {
		assert.Empty(t, told.take(), "before the database has committed, nothing is")
		return nil
	}))
	assert.Len(t, told.take(), 1, "the bus has got them")
	assert.Empty(t, collected(c, tx))
	assert.Equal(t, []any{9}, collected(c, other))
}

func TestSignalsOfATransactionThatIsNotCommittedAreDropped(t *testing.T) {
	for name, end := range map[string]func(tx *fakeTx){
		"rolled back": func(tx *fakeTx) { tx.rollback() },
		"the commit failed": func(tx *fakeTx) {
			require.ErrorIs(t, tx.commit(t.Context(), func() error { return errRefused }), errRefused)
		},
	} {
		c, told := newFake(t)
		tx := &fakeTx{}
		mutate(t, c, &creation{op: ent.OpCreate, drv: tx, id: 1}, nil)
		end(tx)
		assert.Empty(t, told.take(), name)
		assert.Empty(t, collected(c, tx), name)
	}
}

func TestWhatIsNoCreatedRowIsNotNoted(t *testing.T) {
	c, _ := newFake(t)
	tx := &fakeTx{}
	mutate(t, c, &creation{op: ent.OpCreate, drv: tx, id: 1}, errRefused)
	mutate(t, c, &creation{op: ent.OpCreate, drv: tx}, nil) // ON CONFLICT DO NOTHING
	mutate(t, c, &creation{op: ent.OpUpdateOne, drv: tx, id: 2}, nil)
	mutate(t, c, &creation{op: ent.OpDelete, drv: tx, id: 3}, nil)
	mutate(t, c, struct{ *creation }{&creation{op: ent.OpCreate, drv: tx, id: 4}}, nil) // of another type
	assert.Empty(t, collected(c, tx))
	assert.Nil(t, tx.commit, "the transaction has no hook of ours")
}

func TestClientWithoutABusNotesNothing(t *testing.T) {
	c := NewClient(fakeTxs{})
	tx := &fakeTx{}
	mutate(t, c, &creation{op: ent.OpCreate, drv: tx, id: 1}, nil)
	assert.Empty(t, collected(c, tx))
}

// Whether a driver of another type commits at once nobody knows.
func TestSignalsOutsideOfATransactionAreReportedWhereTheyMayNotBeCommitted(t *testing.T) {
	told := &told{}
	bus, err := NewBus(nil, entsignal.WithErrorHandler(told.handle))
	require.NoError(t, err)
	c := NewClient(fakeTxs{})
	c.Bind(bus, BusClient{})
	mutate(t, c, &creation{op: ent.OpCreate, drv: &pool{}, id: 1}, nil)
	errs := told.take()
	require.Len(t, errs, 1)
	assert.ErrorIs(t, errs[0], entsignal.ErrNotCollected)
}

// ent runs the hooks of a bulk one by one, last row first.
func TestBulkIsNotedByItsLastHookFirstRowFirst(t *testing.T) {
	c, _ := newFake(t)
	tx := &fakeTx{}
	group := NewGroup(4)
	for _, id := range []any{4, nil, 2, 1} {
		assert.Empty(t, collected(c, tx))
		mutate(t, c, &creation{op: ent.OpCreate, drv: tx, id: id, group: group}, nil)
	}
	assert.Equal(t, []any{1, 2, 4}, collected(c, tx))
}
