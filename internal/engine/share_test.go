package engine

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

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/internal/database"
	"github.com/entsignal/signalbus/internal/gather"
	"github.com/entsignal/signalbus/internal/retry"
	"github.com/entsignal/signalbus/internal/table"
)

func TestShareThatIsToTryAloneWhenItsTimeIsOverIsNoSuccess(t *testing.T) {
	e := newEngine(t, nil)
	s, _ := (&gather.Gatherer{}).Join([]any{1})
	s.Done <- gather.Result{Alone: true}
	ended, cancel := context.WithCancelCause(context.Background())
	cause := errors.New("time is up")
	cancel(cause)
	n, err := e.awaitLate(ended, &signalType{}, s)
	require.ErrorIs(t, err, cause)
	assert.Zero(t, n)
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

func (*deadNetwork) Exclusive() bool { return false }

// named is a signal of which nothing is read.
type named struct {
	table.Signal
	name string
}

func (n named) Info() entsignal.Info { return entsignal.Info{Name: n.name, AutoFlush: true} }

func (named) HasSender() bool { return true }

func (named) StoredID(id any) (any, error) { return id, nil }

func (named) Bind(any) error { return nil }

func (named) Table() database.Table { return database.Table{} }

func (named) LoadsEdges() bool { return false }

func (named) Retry() *retry.Policy { return nil }

// bind gives the engine a client and a database.
func bind(t *testing.T, e *Engine, db database.Dialect) *Binding {
	t.Helper()
	e.db = db
	bus := &entsignal.Bus{}
	bus.Attach(e)
	return Bind(bus, Client{
		Driver: func() dialect.Driver { return dialect.Debug(nil) },
		Detach: func(ctx context.Context) context.Context { return ctx },
	})
}

func TestAutoflushOfManyTypesEndsWithTheFlushTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const timeout = 200 * time.Millisecond
		var (
			signals []table.Signal
			created []Created
		)
		for name := 'A'; name < 'A'+20; name++ {
			signals = append(signals, named{name: string(name)})
			created = append(created, Created{Signal: string(name), ID: 1})
		}
		var reported atomic.Int32
		e := newEngine(t, signals, entsignal.WithFlushTimeout(timeout), entsignal.WithErrorHandler(func(context.Context, error) { reported.Add(1) }))
		db := &deadNetwork{end: make(chan struct{})}
		bind(t, e, db).Committed(context.Background(), created)
		// Each claim that is left behind takes a settle time, a fifth of the whole.
		assert.Positive(t, db.claims.Load())
		assert.LessOrEqual(t, db.claims.Load(), int32(4))
		assert.EqualValues(t, 20, reported.Load(), "each type is told")
		close(db.end)
		require.NoError(t, e.Close(context.Background()))
	})
}

// slowBroker is a database whose sender publishes the first batch at once and
// has the answer to it when the second batch is there.
type slowBroker struct {
	fit
	claims        atomic.Int32
	first, second chan struct{}
}

func (*slowBroker) Exclusive() bool { return false }

func (d *slowBroker) Claim(ctx context.Context, _ database.Claim) (int, error) {
	if d.claims.Add(1) == 2 {
		close(d.second)
		return 1, nil
	}
	entsignal.Published(ctx)
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
	e := newEngine(t, []table.Signal{named{name: "A"}}, entsignal.WithFlushTimeout(sharePatience*9/10),
		entsignal.WithErrorHandler(func(_ context.Context, err error) { errs <- err }))
	db := &slowBroker{first: make(chan struct{}), second: make(chan struct{})}
	client := bind(t, e, db)
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
	require.NoError(t, e.Close(context.Background()))
}
