package retry_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/entsignal/entsignaltest"
	"github.com/entsignal/signalbus/integration/internal/testdb"
	"github.com/entsignal/signalbus/integration/retry/ent"
)

func TestBadSignalBlocksAnOrderedFlushUntilItIsMended(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		w := open(t, db)
		for i, burst := range []int{1, 4} {
			id := fmt.Sprint(10*i + 7)
			w.outbox.Reset()
			w.step(t, 10)
			w.steps.Before(failing(stepNumber, errPoison, 7))
			n, err := w.StepDone.FlushOrdered(ctx(t), entsignal.Burst(burst))
			require.ErrorIs(t, err, errPoison)
			assert.ErrorContains(t, err, "id "+id+" (attempt 1 of 2): poison")
			assert.Equal(t, 6, n)
			assert.Equal(t, numbers(6), w.steps.Keys(), "all before it leaves, and nothing behind it")

			// It waits for its next attempt, and what is behind it waits too.
			w.steps.Before(nil)
			var blocked *entsignal.BlockedError
			n, err = w.StepDone.FlushOrdered(ctx(t), entsignal.Burst(burst))
			require.ErrorAs(t, err, &blocked)
			assert.Zero(t, n)
			assert.Equal(t, id, blocked.ID)
			assert.Equal(t, 1, blocked.Attempts)
			assert.Equal(t, "poison", blocked.Reason)
			assert.True(t, blocked.FailedAt.IsZero())
			assert.True(t, blocked.RetryAt.After(time.Now()))
			assert.ErrorContains(t, err, "blocked by id "+id+", which waits until ")

			// Parked it blocks until somebody decides.
			w.steps.Before(failing(stepNumber, errPoison, 7))
			w.wait(t)
			_, err = w.StepDone.FlushOrdered(ctx(t), entsignal.Burst(burst))
			require.ErrorIs(t, err, errPoison)
			w.wait(t)
			n, err = w.StepDone.FlushOrdered(ctx(t), entsignal.Burst(burst))
			require.ErrorAs(t, err, &blocked)
			assert.Zero(t, n)
			assert.WithinDuration(t, time.Now(), blocked.FailedAt, time.Minute)
			assert.ErrorContains(t, err, "blocked by id "+id+", which has been dead since ")
			assert.ErrorContains(t, err, " (attempt 2 failed): poison")
			assert.Len(t, w.steps.Keys(), 6)

			w.steps.Before(nil)
			n, err = w.bus.RetryAll(ctx(t), "StepDone")
			require.NoError(t, err)
			assert.Equal(t, 1, n)
			n, err = w.StepDone.FlushOrdered(ctx(t), entsignal.Burst(burst))
			require.NoError(t, err)
			assert.Equal(t, 4, n)
			assert.Equal(t, numbers(10), w.steps.Keys())
		}
	})
}

func TestOrderedFlushStopsBeforeASignalThatWaits(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		w := open(t, db)
		w.step(t, 10)
		w.StepDone.UpdateOneID(6).SetSignalAttempts(1).SetSignalRetryAt(time.Now().Add(time.Hour).UTC().Truncate(time.Second)).ExecX(ctx(t))
		n, err := w.bus.FlushOrdered(ctx(t), entsignal.SkipDead())
		var blocked *entsignal.BlockedError
		require.ErrorAs(t, err, &blocked, "SkipDead doesn't pass what waits")
		assert.Equal(t, "6", blocked.ID)
		assert.Equal(t, 5, n)
		assert.Equal(t, numbers(5), w.steps.Keys())
	})
}

func TestParkedSignalsArePassedOnDemand(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		w := open(t, db)
		w.step(t, 10)
		w.steps.Before(failing(stepNumber, entsignal.Permanent(errPoison), 1, 6))
		for _, want := range []int{0, 4} {
			n, err := w.StepDone.FlushOrdered(ctx(t), entsignal.SkipDead())
			require.ErrorIs(t, err, errPoison)
			assert.Equal(t, want, n)
		}
		n, err := w.StepDone.FlushOrdered(ctx(t), entsignal.SkipDead())
		require.NoError(t, err)
		assert.Equal(t, 4, n)
		assert.Equal(t, numbers(10, 1, 6), w.steps.Keys())

		_, err = w.StepDone.FlushOrdered(ctx(t))
		var blocked *entsignal.BlockedError
		require.ErrorAs(t, err, &blocked)
		n, err = w.bus.Discard(ctx(t), "StepDone", "1", "6")
		require.NoError(t, err)
		assert.Equal(t, 2, n)
		n, err = w.StepDone.FlushOrdered(ctx(t))
		require.NoError(t, err)
		assert.Zero(t, n)
		assert.Zero(t, w.pending(t, "StepDone").Count)

		_, err = w.JobQueued.Flush(ctx(t), entsignal.SkipDead())
		assert.ErrorContains(t, err, "Flush doesn't use the option SkipDead; it uses: Wait, Burst")
	})
}

func TestBadSignalBlocksNoOtherKey(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		w := open(t, db)
		for number := 1; number <= 3; number++ {
			for _, line := range []string{"a", "b", "c", "d", "e"} {
				w.LineMoved.Create().SetLine(line).SetNumber(number).ExecX(ctx(t))
			}
		}
		fault := entsignaltest.FailWhere(w.outbox, func(s *ent.LineMoved) error {
			if s.Line != "e" && s.Number == 2 {
				return entsignal.Permanent(errPoison)
			}
			return nil
		})
		n, err := w.LineMoved.FlushOrdered(ctx(t), entsignal.Burst(1))
		require.ErrorIs(t, err, errPoison)
		assert.Equal(t, 7, n)
		assert.ElementsMatch(t, []string{"a1", "b1", "c1", "d1", "e1", "e2", "e3"}, w.moves.Keys())

		// What is dead stops its own key, however many of them there are.
		fault.Stop()
		w.LineMoved.Create().SetLine("e").SetNumber(4).ExecX(ctx(t))
		n, err = w.LineMoved.FlushOrdered(ctx(t))
		var blocked *entsignal.BlockedError
		require.ErrorAs(t, err, &blocked)
		assert.Equal(t, 1, n)
		assert.Len(t, w.failed(t, "LineMoved"), 4)

		n, err = w.LineMoved.FlushOrdered(ctx(t), entsignal.SkipDead())
		require.NoError(t, err)
		assert.Equal(t, 4, n)
		n, err = w.bus.RetryAll(ctx(t), "LineMoved")
		require.NoError(t, err)
		assert.Equal(t, 4, n)
		n, err = w.LineMoved.FlushOrdered(ctx(t))
		require.NoError(t, err)
		assert.Equal(t, 4, n)
		assert.Len(t, w.moves.Keys(), 16)
	})
}
