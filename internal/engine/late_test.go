package engine

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"entgo.io/ent/dialect"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/internal/budget"
	"github.com/entsignal/signalbus/internal/database"
	"github.com/entsignal/signalbus/internal/table"
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

func (d lateDatabase) Watermark(context.Context, dialect.Driver, *database.History, int64) (database.Watermark, error) {
	<-d.end
	return database.Watermark{Low: 1}, nil
}

func (d lateDatabase) Waiting(context.Context, dialect.Driver, *database.History, int64, int64) (database.Waiting, error) {
	<-d.end
	return database.Waiting{Rows: 1}, nil
}

func (d lateDatabase) Repair(context.Context, database.Repair) ([]any, error) {
	<-d.end
	return []any{1}, nil
}

func (d lateDatabase) Read(_ context.Context, _ dialect.Driver, read func(dialect.Driver) error) error {
	<-d.end
	return read(nil)
}

// storedSignal is a signal of which something is read.
type storedSignal struct{ named }

func (storedSignal) Columns() table.Columns { return table.Columns{ID: "id", Counted: true} }

func (storedSignal) Table() database.Table { return database.Table{Name: "t"} }

func (storedSignal) LoadsEdges() bool { return false }

// newEngine returns the engine of a bus of these signals.
func newEngine(t *testing.T, signals []table.Signal, opts ...entsignal.BusOption) *Engine {
	t.Helper()
	bus, err := NewBus(signals, opts...)
	require.NoError(t, err)
	return bus.Engine().(*Engine)
}

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
			page, _, err := (&byKey{task: t}).next(ctx, nil)
			return page, err
		},
		"check": func(ctx context.Context, t *task) (any, error) { return t.check(ctx) },
		"repair": func(ctx context.Context, t *task) (any, error) {
			return t.engine.repairOnce(ctx, t.st, database.Repair{})
		},
		"watermark": func(ctx context.Context, t *task) (any, error) {
			return (&watch{task: t, seq: t.st.Dialect.(lateDatabase), history: &database.History{}}).watermark(ctx, 0)
		},
		"waiting": func(ctx context.Context, t *task) (any, error) {
			return (&watch{task: t, seq: t.st.Dialect.(lateDatabase), history: &database.History{}}).heldBack(ctx, 0, 1)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := newEngine(t, nil, entsignal.WithFlushTimeout(timeout))
				db := lateDatabase{end: make(chan struct{})}
				found, err := ask(context.Background(), &task{signalType: &signalType{Signal: storedSignal{}, info: entsignal.Info{Name: "S"}}, engine: e, st: store{Dialect: db}})
				require.ErrorIs(t, err, budget.ErrStuck)
				require.ErrorIs(t, err, context.DeadlineExceeded)
				assert.Empty(t, found)
				ended, cancel := context.WithTimeout(context.Background(), time.Millisecond)
				defer cancel()
				require.ErrorContains(t, e.Close(ended), "still running: 1 query that was abandoned: ")
				close(db.end)
				require.NoError(t, e.Close(context.Background()))
			})
		})
	}
}
