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
)

// hungSequence answers only when released.
type hungSequence struct {
	sequence
	end chan struct{}
}

func (s hungSequence) Waiting(context.Context, dialect.Driver, *database.History, int64, int64) (database.Waiting, error) {
	<-s.end
	return database.Waiting{}, nil
}

func TestHistoryOfAQuestionThatIsLeftBehindServeNoOtherFlush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEngine(t, nil, entsignal.WithFlushTimeout(50*time.Millisecond))
		seq := hungSequence{end: make(chan struct{})}
		w := watch{task: &task{engine: e}, seq: seq, history: &database.History{}}
		_, err := w.heldBack(context.Background(), 1, 2)
		require.ErrorIs(t, err, budget.ErrStuck)
		assert.Nil(t, w.history)
		close(seq.end)
		require.NoError(t, e.Close(context.Background()))
	})
}
