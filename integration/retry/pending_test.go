package retry_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/integration/internal/testdb"
	"github.com/entsignal/signalbus/integration/retry/ent"
	"github.com/entsignal/signalbus/integration/retry/ent/stepdone"
)

func TestDeadSignalsHaveNoAgeAndStillBlockTheirOrder(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		w := open(t, db)
		oldest := func() string {
			all, err := w.bus.Oldest(ctx(t), entsignal.Only("StepDone"))
			require.NoError(t, err)
			return all[0].ID
		}
		w.step(t, 3)
		require.Equal(t, "1", oldest())
		w.StepDone.Update().Where(stepdone.NumberLT(3)).SetSignalAttempts(2).SetSignalFailedAt(time.Now().UTC().Truncate(time.Second)).ExecX(ctx(t))
		assert.Equal(t, "3", oldest())
		w.StepDone.Delete().Where(stepdone.Number(3)).ExecX(ctx(t))
		assert.Empty(t, oldest())

		c, end := context.WithCancel(ctx(t))
		ended := make(chan error, 1)
		go func() { ended <- w.bus.Run(c, entsignal.Only("StepDone")) }()
		require.Eventually(t, func() bool {
			loops := w.bus.RunState().Loops
			return len(loops) == 1 && errors.As(loops[0].Err, new(*entsignal.BlockedError))
		}, 30*time.Second, time.Millisecond)
		end()
		require.NoError(t, <-ended)
	})
}

func TestPendingStopsCountingAtALimit(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		w, notes := spied(t, db)
		later := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
		w.JobQueued.MapCreateBulk(make([]struct{}, 12), func(c *ent.JobQueuedCreate, i int) {
			switch c.SetNumber(i); i % 3 {
			case 0:
				c.SetSignalAttempts(1).SetSignalRetryAt(later)
			case 1:
				c.SetSignalAttempts(9).SetSignalFailedAt(later)
			}
		}).ExecX(ctx(t))
		for most, want := range map[int]entsignal.PendingCount{
			3:  {Count: 3, Waiting: 3, Dead: 3},
			5:  {Count: 5, Waiting: 4, Dead: 4},
			12: {Count: 12, Waiting: 4, Dead: 4},
			13: {Count: 12, Waiting: 4, Dead: 4},
		} {
			want.Name = "JobQueued"
			notes.take()
			counts, err := w.bus.Pending(ctx(t), entsignal.Only("JobQueued"), entsignal.AtMost(most))
			require.NoError(t, err)
			assert.Equal(t, []entsignal.PendingCount{want}, counts, "at most %d", most)
			for _, s := range notes.take() {
				assert.True(t, !strings.Contains(s.text, "COUNT") || strings.Contains(s.text, " LIMIT "), "%s", s.text)
			}
		}
		_, err := w.bus.Pending(ctx(t), entsignal.AtMost(0))
		require.EqualError(t, err, "entsignal: Pending: AtMost: 0; expected 1 or more")
		_, err = w.bus.Oldest(ctx(t), entsignal.AtMost(1))
		require.EqualError(t, err, "entsignal: Oldest doesn't use the option AtMost; it uses: Only, Exclude")
	})
}
