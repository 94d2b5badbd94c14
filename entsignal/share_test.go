package entsignal

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"entgo.io/ent/dialect"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	dbdialect "github.com/entsignal/signalbus/entsignal/internal/dialect"
)

func TestShareThatIsToTryAloneWhenItsTimeIsOverIsNoSuccess(t *testing.T) {
	b, err := NewBus(nil)
	require.NoError(t, err)
	s, _ := (&gathering{}).join([]any{1})
	s.done <- shareResult{alone: true}
	ended, cancel := context.WithCancelCause(context.Background())
	cause := errors.New("time is up")
	cancel(cause)
	n, err := b.awaitLate(ended, signalType{gathering: &gathering{}}, s)
	require.ErrorIs(t, err, cause)
	assert.Zero(t, n)
}

// deadNetwork is a database on a network that answers nothing anymore, under a
// driver that doesn't heed its context.
type deadNetwork struct {
	dbdialect.Dialect
	claims atomic.Int32
	end    chan struct{}
}

func (d *deadNetwork) Claim(context.Context, dbdialect.Claim) (int, error) {
	d.claims.Add(1)
	<-d.end
	return 0, errors.New("gone")
}

// named is a signal of which nothing is read.
type named struct {
	Signal
	name string
}

func (n named) info() Info { return Info{Name: n.name} }

func (named) sendable() bool { return true }

func (named) bind(any, func(context.Context) error) error { return nil }

func (named) batch(Batch, selection) batch { return &delivery[any, any, any, Query[any, any]]{} }

func TestAutoflushOfManyTypesEndsWithTheFlushTimeout(t *testing.T) {
	const timeout = 200 * time.Millisecond
	var (
		signals []Signal
		created []Created
	)
	for name := 'A'; name < 'A'+20; name++ {
		signals = append(signals, named{name: string(name)})
		created = append(created, Created{Signal: string(name), ID: 1})
	}
	var reported atomic.Int32
	b, err := NewBus(signals, WithFlushTimeout(timeout), WithErrorHandler(func(context.Context, error) { reported.Add(1) }))
	require.NoError(t, err)
	db := &deadNetwork{end: make(chan struct{})}
	b.db = db
	b.Bind(Client{
		Driver: func() dialect.Driver { return dialect.Debug(nil) },
		Detach: func(ctx context.Context) context.Context { return ctx },
	}).Committed(context.Background(), created)
	// Each claim that is left behind takes a settle time, a fifth of the whole.
	assert.LessOrEqual(t, db.claims.Load(), int32(4))
	assert.EqualValues(t, 20, reported.Load(), "each type is told")
	close(db.end)
	require.NoError(t, b.Close(context.Background()))
}
