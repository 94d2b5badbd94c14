package entsignal

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"entgo.io/ent/dialect"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/internal/database"
)

// hungSequence answers only when released.
type hungSequence struct {
	sequence
	end chan struct{}
}

func (s hungSequence) Held(context.Context, dialect.Driver, *database.Marks, int64, int64) (database.Held, error) {
	<-s.end
	return database.Held{}, nil
}

func TestMarksOfAQuestionThatIsLeftBehindServeNoOtherFlush(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, err := NewBus(nil, WithFlushTimeout(50*time.Millisecond))
		require.NoError(t, err)
		seq := hungSequence{end: make(chan struct{})}
		w := watch{task: &task{bus: b}, seq: seq, marks: &database.Marks{}}
		_, err = w.heldBack(context.Background(), 1, 2)
		require.ErrorIs(t, err, errStuck)
		assert.Nil(t, w.marks)
		close(seq.end)
		require.NoError(t, b.Close(context.Background()))
	})
}
