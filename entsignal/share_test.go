package entsignal

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"entgo.io/ent/dialect"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/internal/database"
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

func TestTwoSharedBatchesMayBeUnderWayOneOfThemUnpublished(t *testing.T) {
	var g gathering
	join := func() (*share, bool) { return g.join([]any{1}) }
	led := func(s *share) bool {
		select {
		case <-s.turn:
			return true
		default:
			return false
		}
	}
	_, lead := join()
	require.True(t, lead)
	second, lead := join()
	assert.False(t, lead)
	third, lead := join()
	assert.False(t, lead)
	assert.False(t, led(second), "the first isn't published")
	g.pass()
	assert.True(t, led(second))
	g.pass()
	assert.False(t, led(third), "two are under way")
	fourth, lead := join()
	assert.False(t, lead)
	g.end()
	assert.True(t, led(third), "the one that has waited longest")
	assert.False(t, led(fourth))
	assert.Len(t, g.gather(third), 2)
	g.pass()
	g.end()
	g.end()
	assert.Zero(t, g.underWay)
	_, lead = join()
	assert.True(t, lead)
}

// fit is a database of which every table may be claimed.
type fit struct{ database.Dialect }

func (fit) Check(context.Context, dialect.Driver, database.Table, time.Duration) ([]database.Misfit, error) {
	return nil, nil
}

// deadNetwork is a database on a network that answers nothing anymore, under a
// driver that doesn't heed its context.
type deadNetwork struct {
	fit
	claims atomic.Int32
	end    chan struct{}
}

func (d *deadNetwork) Claim(context.Context, database.Claim) (int, error) {
	d.claims.Add(1)
	<-d.end
	return 0, errors.New("gone")
}

func (*deadNetwork) TakesTurns() bool { return false }

// named is a signal of which nothing is read.
type named struct {
	Signal
	name string
}

func (n named) info() Info { return Info{Name: n.name} }

func (named) sendable() bool { return true }

func (named) storedID(id any) (any, error) { return id, nil }

func (named) bind(any, func(context.Context) error) error { return nil }

func (named) batch(Batch, selection) batch { return &nobodys{} }

// nobodys is a batch of a signal of which nothing is read.
type nobodys struct {
	delivery[any, any, any, Query[any]]
}

func (*nobodys) Table() database.Table { return database.Table{} }

func TestAutoflushOfManyTypesEndsWithTheFlushTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
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
		assert.Positive(t, db.claims.Load())
		assert.LessOrEqual(t, db.claims.Load(), int32(4))
		assert.EqualValues(t, 20, reported.Load(), "each type is told")
		close(db.end)
		require.NoError(t, b.Close(context.Background()))
	})
}

// slowBroker is a database whose sender publishes the first batch at once and
// has the answer to it when the second batch is there.
type slowBroker struct {
	fit
	claims        atomic.Int32
	first, second chan struct{}
}

func (*slowBroker) TakesTurns() bool { return false }

func (d *slowBroker) Claim(ctx context.Context, _ database.Claim) (int, error) {
	if d.claims.Add(1) == 2 {
		close(d.second)
		return 1, nil
	}
	Published(ctx)
	close(d.first)
	select {
	case <-d.second:
		return 1, nil
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

func TestNextSharedBatchIsSentWhileTheAnswerToThePublishedOneIsAwaited(t *testing.T) {
	errs := make(chan error, 2)
	// Within this time no commit leaves alone out of impatience.
	b, err := NewBus([]Signal{named{name: "A"}}, WithFlushTimeout(sharePatience*9/10),
		WithErrorHandler(func(_ context.Context, err error) { errs <- err }))
	require.NoError(t, err)
	db := &slowBroker{first: make(chan struct{}), second: make(chan struct{})}
	b.db = db
	client := b.Bind(Client{
		Driver: func() dialect.Driver { return dialect.Debug(nil) },
		Detach: func(ctx context.Context) context.Context { return ctx },
	})
	var commits sync.WaitGroup
	commits.Go(func() { client.Committed(context.Background(), []Created{{Signal: "A", ID: 1}}) })
	select {
	case <-db.first:
	case err := <-errs:
		require.NoError(t, err)
	}
	commits.Go(func() { client.Committed(context.Background(), []Created{{Signal: "A", ID: 2}}) })
	commits.Wait()
	assert.Empty(t, errs)
	assert.EqualValues(t, 2, db.claims.Load())
	require.NoError(t, b.Close(context.Background()))
}

func TestOneSharedBatchAtMostBreaksOut(t *testing.T) {
	var g gathering
	join := func() *share {
		s, _ := g.join([]any{1})
		return s
	}
	join() // leads
	second, third := join(), join()
	assert.True(t, g.breakOut(second))
	assert.False(t, g.breakOut(second), "it leads by now")
	assert.Equal(t, []*share{second, third}, g.gather(second), "it takes along who waits")
	fourth := join()
	assert.False(t, g.breakOut(fourth), "one is out")
	g.endOut()
	assert.True(t, g.breakOut(fourth))
	assert.Equal(t, 1, g.underWay, "the way of the others is as it was")
	assert.True(t, g.led)
}
