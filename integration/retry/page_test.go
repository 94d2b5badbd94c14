package retry_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/integration/internal/testdb"
	"github.com/entsignal/signalbus/integration/retry/ent"
)

func idsOf(failed []entsignal.FailedSignal) (ids []string) {
	for _, f := range failed {
		ids = append(ids, f.ID)
	}
	return ids
}

func TestFailedSignalsAreListedPageByPage(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		w := open(t, db)
		w.jobs.Before(func(_ context.Context, jobs []*ent.JobQueued) error {
			failures := &entsignal.BatchError{Errors: make([]error, len(jobs))}
			for i, j := range jobs {
				if j.Number%2 == 0 {
					failures.Errors[i] = entsignal.Permanent(fmt.Errorf("even %d", j.Number%4))
				}
			}
			return failures
		})
		w.queue(t, 20)
		_, err := w.bus.FlushMany(ctx(t), entsignal.Only("JobQueued"))
		require.Error(t, err)
		only := entsignal.Only("JobQueued")
		all, err := w.bus.Failed(ctx(t), only)
		require.NoError(t, err)
		require.Len(t, all, 10)

		var paged []string
		opts := []entsignal.FlushOption{only, entsignal.AtMost(4)}
		for range 4 {
			page, err := w.bus.Failed(ctx(t), opts...)
			require.NoError(t, err)
			if len(page) == 0 {
				break
			}
			paged = append(paged, idsOf(page)...)
			opts = []entsignal.FlushOption{only, entsignal.AtMost(4), entsignal.After(paged[len(paged)-1])}
		}
		assert.Equal(t, idsOf(all), paged)

		some, err := w.bus.Failed(ctx(t), only, entsignal.ErrorText("even 2"))
		require.NoError(t, err)
		assert.Len(t, some, 5)
		none, err := w.bus.Failed(ctx(t), only, entsignal.ErrorText("EVEN 2"))
		require.NoError(t, err)
		assert.Empty(t, none)

		_, err = w.bus.Failed(ctx(t), entsignal.After("1"))
		require.ErrorContains(t, err, "After goes with Only")
		_, err = w.bus.Failed(ctx(t), only, entsignal.After("x"))
		require.ErrorAs(t, err, new(*entsignal.InvalidIDError))
		_, err = w.bus.Failed(ctx(t), only, entsignal.AtMost(0))
		require.ErrorContains(t, err, "expected 1 or more")

		counts, err := w.bus.Pending(ctx(t), only, entsignal.AtMost(3))
		require.NoError(t, err)
		assert.Equal(t, []entsignal.PendingCount{{Name: "JobQueued", Count: 3, Dead: 3}}, counts)

		n, err := w.bus.RetryAll(ctx(t), "JobQueued", entsignal.ErrorText("even 2"))
		require.NoError(t, err)
		assert.Equal(t, 5, n)
		n, err = w.bus.DiscardAll(ctx(t), "JobQueued")
		require.NoError(t, err)
		assert.Equal(t, 5, n, "what was retried hasn't failed, and stays")
		assert.Equal(t, entsignal.PendingCount{Name: "JobQueued", Count: 5}, w.pending(t, "JobQueued"))
		n, err = w.bus.DiscardAll(ctx(t), "JobQueued", entsignal.ErrorText("even 0"))
		require.NoError(t, err)
		assert.Zero(t, n)
		_, err = w.bus.DiscardAll(ctx(t), "NoteTaken")
		require.ErrorIs(t, err, entsignal.ErrNoRetry)
		_, err = w.bus.DiscardAll(ctx(t), "JobQueued", only)
		require.ErrorContains(t, err, "DiscardAll doesn't use the option Only; it uses: ErrorText")
	})
}

func TestFailuresOfOneSignalAreLookedUp(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		w := open(t, db)
		_, err := w.bus.First(ctx(t), "StepDone")
		require.ErrorIs(t, err, entsignal.ErrNoSignal)
		w.step(t, 2)
		w.steps.Before(func(_ context.Context, steps []*ent.StepDone) error { return entsignal.Permanent(errPoison) })
		first, err := w.bus.First(ctx(t), "StepDone")
		require.NoError(t, err)
		assert.Zero(t, first.Attempts)
		assert.False(t, first.Dead)
		_, err = w.bus.FlushOrdered(ctx(t), entsignal.Only("StepDone"))
		require.ErrorIs(t, err, errPoison)
		first, err = w.bus.First(ctx(t), "StepDone")
		require.NoError(t, err)
		assert.True(t, first.Dead)
		assert.Equal(t, 1, first.Attempts)
		same, err := w.bus.Lookup(ctx(t), "StepDone", first.ID)
		require.NoError(t, err)
		assert.Equal(t, first, same)

		_, err = w.bus.Lookup(ctx(t), "StepDone", "4711")
		require.ErrorIs(t, err, entsignal.ErrNoSignal)
		_, err = w.bus.Lookup(ctx(t), "StepDone", "x")
		require.ErrorAs(t, err, new(*entsignal.InvalidIDError))
		_, err = w.bus.Lookup(ctx(t), "MailWanted", uuid.NewString())
		require.ErrorIs(t, err, entsignal.ErrNoSignal)
		_, err = w.bus.Lookup(ctx(t), "Nothing", "1")
		require.ErrorAs(t, err, new(*entsignal.UnknownSignalError))
		w.NoteTaken.Create().SetNumber(1).ExecX(ctx(t))
		note, err := w.bus.First(ctx(t), "NoteTaken")
		require.NoError(t, err)
		assert.Zero(t, note.Attempts)
	})
}
