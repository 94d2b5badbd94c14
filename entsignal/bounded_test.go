package entsignal

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"entgo.io/ent/dialect"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/internal/database"
)

// lateDatabase answers when nobody waits for it anymore.
type lateDatabase struct {
	database.Dialect
	sequence
	end chan struct{}
}

func (d lateDatabase) Order(context.Context, dialect.Driver, database.Table) (database.Order, error) {
	<-d.end
	return database.Order{Reason: "late"}, nil
}

func (d lateDatabase) Check(context.Context, dialect.Driver, database.Table, time.Duration) ([]database.Misfit, error) {
	<-d.end
	return []database.Misfit{{Setting: "late"}}, nil
}

func (d lateDatabase) Look(context.Context, dialect.Driver, *database.Marks, int64) (database.Sight, error) {
	<-d.end
	return database.Sight{Low: 1}, nil
}

func (d lateDatabase) Held(context.Context, dialect.Driver, *database.Marks, int64, int64) (database.Held, error) {
	<-d.end
	return database.Held{Rows: 1}, nil
}

func (d lateDatabase) Mend(context.Context, database.Mend) ([]any, error) {
	<-d.end
	return []any{1}, nil
}

func (d lateDatabase) Read(_ context.Context, _ dialect.Driver, read func(dialect.Driver) error) error {
	<-d.end
	return read(nil)
}

// storedSignal is a signal of which something is read.
type storedSignal struct{ named }

func (storedSignal) columns() columns { return columns{id: "id", counted: true} }

func (storedSignal) batch(Batch, selection) batch { return storedBatch{} }

func (storedSignal) table() database.Table { return database.Table{Name: "t"} }

type storedBatch struct{ batch }

func (storedBatch) Table() database.Table { return database.Table{Name: "t"} }

// The race detector is the judge here: the answer must not go to where the
// caller, who has gone on, reads.
func TestAnswersThatComeTooLateAreNobodys(t *testing.T) {
	const timeout = 20 * time.Millisecond
	for name, ask := range map[string]func(context.Context, *task) (any, error){
		"order":   func(ctx context.Context, t *task) (any, error) { return t.idOrder(ctx) },
		"pending": func(ctx context.Context, t *task) (any, error) { return t.pending(ctx) },
		"top":     func(ctx context.Context, t *task) (any, error) { return t.top(ctx) },
		"failed":  func(ctx context.Context, t *task) (any, error) { return t.listFailed(ctx) },
		"keys": func(ctx context.Context, t *task) (any, error) {
			return (&byKey{task: t}).list(ctx, nil)
		},
		"check": func(ctx context.Context, t *task) (any, error) { return t.check(ctx) },
		"mend":  func(ctx context.Context, t *task) (any, error) { return t.bus.mendOnce(ctx, t.st, database.Mend{}) },
		"look": func(ctx context.Context, t *task) (any, error) {
			return (&watch{task: t, seq: t.st.Dialect.(lateDatabase), marks: &database.Marks{}}).look(ctx, 0)
		},
		"held": func(ctx context.Context, t *task) (any, error) {
			return (&watch{task: t, seq: t.st.Dialect.(lateDatabase), marks: &database.Marks{}}).heldBack(ctx, 0, 1)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b, err := NewBus(nil, WithFlushTimeout(timeout))
				require.NoError(t, err)
				db := lateDatabase{end: make(chan struct{})}
				found, err := ask(context.Background(), &task{signalType: signalType{Signal: storedSignal{}, Info: Info{Name: "S"}}, bus: b, st: store{Dialect: db}})
				require.ErrorIs(t, err, errStuck)
				require.ErrorIs(t, err, context.DeadlineExceeded)
				assert.Empty(t, found)
				ended, cancel := context.WithTimeout(context.Background(), time.Millisecond)
				defer cancel()
				require.ErrorContains(t, b.Close(ended), "still running: 1 query that was left behind: ")
				close(db.end)
				require.NoError(t, b.Close(context.Background()))
			})
		})
	}
}

func TestCloseCountsAFlushWithItsBatchOnce(t *testing.T) {
	b, err := NewBus(nil)
	require.NoError(t, err)
	require.NoError(t, b.life.enter())
	begun, end, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		defer b.life.leave()
		_, err := bounded(context.Background(), b, func(context.Context) (int, error) {
			close(begun)
			<-end
			return 1, nil
		})
		assert.NoError(t, err)
	}()
	<-begun
	ended, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	require.EqualError(t, b.Close(ended), "entsignal: close: still running: 1 flush: context deadline exceeded")
	close(end)
	require.NoError(t, b.Close(context.Background()))
	<-done
}

// A context that ends with a signal, or with an application's own reason, has a
// cause that doesn't say so.
func TestCauseOfAnEndedContextIsToldWithTheEnd(t *testing.T) {
	b, err := NewBus(nil)
	require.NoError(t, err)
	cause := errors.New("interrupt")
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(cause)
	_, err = bounded(ctx, b, func(context.Context) (int, error) { return 1, nil })
	require.ErrorIs(t, err, cause)
	require.ErrorIs(t, err, context.Canceled)
	ctx, cancel = context.WithCancelCause(context.Background())
	cancel(ErrClosed)
	_, err = bounded(ctx, b, func(context.Context) (int, error) { return 1, nil })
	require.Equal(t, ErrClosed, err)
}
