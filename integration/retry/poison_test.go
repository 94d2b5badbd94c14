package retry_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/entsignal/entsignaltest"
	"github.com/entsignal/signalbus/integration/internal/testdb"
	"github.com/entsignal/signalbus/integration/retry/ent"
)

func TestPoisonAmongTenThousandIsParkedAndTheOthersLeaveOnceInOnePass(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		const rows, poison = 10000, 4711
		w := open(t, db)
		drain := func() (time.Duration, int, error) {
			w.queue(t, rows)
			start := time.Now()
			n, err := w.JobQueued.FlushMany(ctx(t))
			return time.Since(start), n, err
		}
		healthy, n, err := drain()
		require.NoError(t, err)
		require.Equal(t, rows, n)
		w.outbox.Reset()

		w.jobs.Before(failing(jobNumber, errPoison, poison))
		poisoned, n, err := drain()
		require.ErrorIs(t, err, errPoison)
		assert.Equal(t, rows-1, n)
		assert.Equal(t, numbers(rows, poison), sorted(w.jobs.Keys()))
		t.Logf("%d rows: %v, with a poisoned one %v: %.2f times as long", rows, healthy, poisoned, poisoned.Seconds()/healthy.Seconds())

		for attempt := 2; attempt <= 3; attempt++ {
			n, err = w.JobQueued.FlushMany(ctx(t))
			require.NoError(t, err, "it waits for its next attempt")
			require.Zero(t, n)
			w.wait(t)
			_, err = w.JobQueued.FlushMany(ctx(t))
			require.ErrorIs(t, err, errPoison)
		}
		w.wait(t)
		n, err = w.JobQueued.FlushMany(ctx(t))
		require.NoError(t, err, "it is dead")
		require.Zero(t, n)
		assert.Equal(t, entsignal.PendingCount{Name: "JobQueued", Count: 1, Dead: 1}, w.pending(t, "JobQueued"))
		failed := w.failed(t, "JobQueued")
		require.Len(t, failed, 1)
		assert.Equal(t, "poison", failed[0].Error)
		assert.Equal(t, 3, failed[0].Attempts)
		assert.True(t, failed[0].Dead)
		require.NotNil(t, failed[0].FailedAt)
		assert.WithinDuration(t, time.Now(), *failed[0].FailedAt, time.Minute)

		w.jobs.Before(nil)
		n, err = w.bus.Retry(ctx(t), "JobQueued", failed[0].ID)
		require.NoError(t, err)
		assert.Equal(t, 1, n)
		n, err = w.JobQueued.FlushMany(ctx(t))
		require.NoError(t, err)
		assert.Equal(t, 1, n)
		assert.Equal(t, numbers(rows), sorted(w.jobs.Keys()))
		assert.Empty(t, w.failed(t, "JobQueued"))
	})
}

// allWays are the ways by which jobs leave that are not in order.
var allWays = map[string]func(w *works, ctx context.Context) (int, error){
	"flush":     func(w *works, ctx context.Context) (int, error) { return w.JobQueued.Flush(ctx, entsignal.Wait(0)) },
	"flushmany": func(w *works, ctx context.Context) (int, error) { return w.JobQueued.FlushMany(ctx) },
	"workers": func(w *works, ctx context.Context) (int, error) {
		return w.JobQueued.FlushMany(ctx, entsignal.Workers(3), entsignal.Burst(7))
	},
	"burst 1": func(w *works, ctx context.Context) (int, error) {
		return w.JobQueued.FlushMany(ctx, entsignal.Burst(1))
	},
	"send": func(w *works, ctx context.Context) (int, error) {
		return w.JobQueued.Send(ctx, w.JobQueued.Query().AllX(ctx)...)
	},
}

func TestEveryWayToSendNotesTheFailuresAndLeavesOutWhatWaits(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		w := open(t, db)
		w.jobs.Before(failing(jobNumber, errPoison, 3, 4, 11))
		for name, send := range allWays {
			w.JobQueued.Delete().ExecX(ctx(t))
			w.outbox.Reset()
			w.queue(t, 20)
			n, err := send(w, ctx(t))
			require.ErrorIs(t, err, errPoison, name)
			left := w.JobQueued.Query().Order(ent.Asc("id")).AllX(ctx(t))
			require.Len(t, left, 3, name)
			assert.ErrorContains(t, err, fmt.Sprintf("id %d (attempt 1 of 3): poison", left[0].ID))
			assert.Equal(t, 17, n)
			assert.Equal(t, numbers(20, 3, 4, 11), sorted(w.jobs.Keys()))
			assert.Equal(t, entsignal.PendingCount{Name: "JobQueued", Count: 3, Waiting: 3}, w.pending(t, "JobQueued"))
			failed := w.failed(t, "JobQueued")
			require.Len(t, failed, 3)
			for i, f := range failed {
				assert.Equal(t, fmt.Sprint(left[i].ID), f.ID)
				assert.Equal(t, 1, f.Attempts)
				assert.Equal(t, "poison", f.Error)
				assert.False(t, f.Dead)
				assert.Nil(t, f.FailedAt)
				require.NotNil(t, f.RetryAt)
				assert.WithinRange(t, *f.RetryAt, time.Now().Add(29*time.Minute), time.Now().Add(61*time.Minute), "the least pause is an hour, less up to a half")
			}

			n, err = send(w, ctx(t))
			assert.Zero(t, n)
			if name == "send" {
				require.ErrorIs(t, err, errPoison, "who asks for a signal gets it")
			} else {
				require.NoError(t, err, name)
			}
		}
	})
}

func TestPausesGrowUpToTheirLimit(t *testing.T) {
	t.Parallel()
	testdb.On(t, []testdb.Kind{testdb.SQLite}, func(t *testing.T, db *testdb.DB) {
		w := open(t, db)
		w.MailWanted.Create().SetNumber(1).ExecX(ctx(t))
		assert.Equal(t, []int{1}, w.mails.Keys())
		w.mails.Before(failing(mailNumber, errPoison, 2))
		w.MailWanted.Create().SetNumber(2).ExecX(ctx(t))
		require.ErrorIs(t, <-w.errors, errPoison)
		for _, longest := range []time.Duration{10, 20, 40, 80, 160, 320, 640, 1280, 2560} {
			failed := w.failed(t, "MailWanted")
			require.Len(t, failed, 1)
			require.False(t, failed[0].Dead)
			longest *= time.Second
			assert.WithinRange(t, *failed[0].RetryAt, time.Now().Add(longest/2-10*time.Second), time.Now().Add(longest))
			w.wait(t)
			_, err := w.MailWanted.FlushMany(ctx(t))
			require.ErrorIs(t, err, errPoison)
		}
		failed := w.failed(t, "MailWanted")
		assert.Equal(t, 10, failed[0].Attempts)
		assert.True(t, failed[0].Dead)
	})
}

func TestAutoflushNotesTheFailures(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		w := open(t, db)
		w.mails.Before(failing(mailNumber, errPoison, 2))
		tx, err := w.Tx(ctx(t))
		require.NoError(t, err)
		for i := range 5 {
			tx.MailWanted.Create().SetNumber(i + 1).ExecX(ctx(t))
		}
		require.NoError(t, tx.Commit())
		require.ErrorIs(t, <-w.errors, errPoison)
		assert.Equal(t, numbers(5, 2), sorted(w.mails.Keys()))
		failed := w.failed(t, "MailWanted")
		require.Len(t, failed, 1)
		assert.Equal(t, 1, failed[0].Attempts)
		assert.NotNil(t, failed[0].RetryAt)
	})
}

func TestPermanentErrorParksAtOnce(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		w := open(t, db)
		entsignaltest.FailWhere(w.outbox, func(s *ent.JobQueued) error {
			if s.Number == 4 {
				return entsignal.Permanent(errPoison)
			}
			return nil
		})
		for i, burst := range []int{1, 500} {
			w.queue(t, 10)
			n, err := w.JobQueued.FlushMany(ctx(t), entsignal.Burst(burst))
			require.ErrorIs(t, err, errPoison)
			ids := w.JobQueued.Query().IDsX(ctx(t))
			assert.ErrorContains(t, err, fmt.Sprintf("id %d (attempt 1 of 3, dead): poison", slices.Max(ids)))
			assert.True(t, entsignal.IsPermanent(err))
			assert.Equal(t, 9, n)
			assert.Equal(t, entsignal.PendingCount{Name: "JobQueued", Count: i + 1, Dead: i + 1}, w.pending(t, "JobQueued"))
			n, err = w.JobQueued.Flush(ctx(t), entsignal.Wait(0))
			require.NoError(t, err)
			assert.Zero(t, n)
		}
	})
}

func TestOutageSpendsNoAttempt(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		open(t, db).queue(t, 20)
		for name, fail := range map[string]func(cancel func()) error{
			"the broker is away": func(func()) error { return errAway },
			"the context ends":   func(cancel func()) error { cancel(); return errors.New("i/o timeout") },
		} {
			w := openAgain(t, db) // one that knows of no outage yet
			// Nothing is spent by what wasn't tried alone when it began.
			calls := 0
			c, cancel := context.WithCancel(ctx(t))
			w.jobs.Before(func(context.Context, []*ent.JobQueued) error {
				if calls++; calls < 3 {
					return errPoison
				}
				return fail(cancel)
			})
			_, err := w.JobQueued.Flush(c, entsignal.Wait(0))
			require.Error(t, err, name)
			require.Equal(t, 3, calls)
			assert.Empty(t, w.failed(t, "JobQueued"))

			for _, burst := range []int{1, 20} {
				c, cancel := context.WithCancel(ctx(t))
				w.jobs.Before(func(context.Context, []*ent.JobQueued) error { return fail(cancel) })
				_, err := w.JobQueued.FlushMany(c, entsignal.Burst(burst))
				require.Error(t, err, name)
			}
			assert.Empty(t, w.failed(t, "JobQueued"))
		}
		n, err := openAgain(t, db).JobQueued.FlushMany(ctx(t))
		require.NoError(t, err)
		assert.Equal(t, 20, n)
	})
}

func TestSenderThatFailsForEverythingParksNothingThatItWasNotGivenAlone(t *testing.T) {
	t.Parallel()
	testdb.On(t, []testdb.Kind{testdb.PostgreSQL, testdb.SQLite}, func(t *testing.T, db *testdb.DB) {
		w := open(t, db)
		w.queue(t, 1000)
		w.jobs.Before(func(context.Context, []*ent.JobQueued) error { return entsignal.Permanent(errPoison) })
		n, err := w.JobQueued.Flush(ctx(t), entsignal.Wait(0))
		require.ErrorIs(t, err, errPoison)
		assert.Zero(t, n)
		assert.LessOrEqual(t, len(w.failed(t, "JobQueued")), 100, "six of each batch, and those that were tried in other places")
		assert.Equal(t, 1000, w.pending(t, "JobQueued").Count)
	})
}

func TestWithoutRetryABadSignalIsTriedByEachFlush(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		w := open(t, db)
		w.NoteTaken.MapCreateBulk(make([]struct{}, 10), func(c *ent.NoteTakenCreate, i int) { c.SetNumber(i + 1) }).ExecX(ctx(t))
		w.notes.Before(failing(func(s *ent.NoteTaken) int { return s.Number }, errPoison, 5))
		for _, want := range []int{9, 0, 0} {
			n, err := w.NoteTaken.FlushMany(ctx(t))
			require.ErrorIs(t, err, errPoison)
			assert.ErrorContains(t, err, "id 5: poison")
			assert.Equal(t, want, n)
		}
		w.notes.Before(nil)
		n, err := w.NoteTaken.FlushMany(ctx(t))
		require.NoError(t, err)
		assert.Equal(t, 1, n)
	})
}
