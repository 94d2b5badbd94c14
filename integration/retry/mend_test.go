package retry_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/entsignal/entsignaltest"
	"github.com/entsignal/signalbus/integration/internal/testdb"
	"github.com/entsignal/signalbus/integration/retry/ent"
)

func TestFailedSignalsAreFoundByTheIDsThatTheyAreShownWith(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		w := open(t, db)
		w.jobs.Before(func(context.Context, []*ent.JobQueued) error { return entsignal.Permanent(errPoison) })
		w.mails.Before(func(context.Context, []*ent.MailWanted) error { return entsignal.Permanent(errPoison) })
		w.badges.Before(func(context.Context, []*ent.BadgeGiven) error { return errPoison })
		w.queue(t, 3)
		for i := range 3 {
			w.BadgeGiven.Create().SetNumber(i + 1).ExecX(ctx(t))
			w.MailWanted.Create().SetNumber(i + 1).ExecX(ctx(t))
			require.Error(t, <-w.errors)
		}
		_, err := w.bus.FlushMany(ctx(t), entsignal.Exclude("MailWanted"))
		require.ErrorIs(t, err, errPoison)
		all, err := w.bus.Failed(ctx(t))
		require.NoError(t, err)
		ids := make(map[string][]string)
		for _, f := range all {
			assert.True(t, f.Dead)
			ids[f.Name] = append(ids[f.Name], f.ID)
		}
		require.Len(t, ids, 3)
		for name, ids := range ids {
			require.Len(t, ids, 3, name)
			n, err := w.bus.Retry(ctx(t), name, ids[0], ids[2], ids[0])
			require.NoError(t, err)
			assert.Equal(t, 2, n)
			failed := w.failed(t, name)
			require.Len(t, failed, 1)
			assert.Equal(t, ids[1], failed[0].ID)
			n, err = w.bus.Discard(ctx(t), name, ids...)
			require.NoError(t, err)
			assert.Equal(t, 1, n, "what hasn't failed stays")
			assert.Equal(t, entsignal.PendingCount{Name: name, Count: 2}, w.pending(t, name))
		}
		retried := w.JobQueued.Query().FirstX(ctx(t))
		assert.Zero(t, retried.SignalAttempts)
		assert.Nil(t, retried.SignalFailedAt)
		assert.Nil(t, retried.SignalError)

		n, err := w.bus.Retry(ctx(t), "MailWanted", strings.ToUpper(ids["MailWanted"][0]), uuid.NewString())
		require.NoError(t, err)
		assert.Zero(t, n, "one that hasn't failed, and one that isn't there")
	})
}

func TestTextThatIsNoIDIsRefused(t *testing.T) {
	t.Parallel()
	testdb.On(t, []testdb.Kind{testdb.SQLite}, func(t *testing.T, db *testdb.DB) {
		w := open(t, db)
		for name, ids := range map[string]map[string]string{
			"JobQueued": {
				"abc":                  `entsignal: signal JobQueued: "abc" is not a valid id: expected a whole number`,
				"":                     `entsignal: signal JobQueued: "" is not a valid id: expected a whole number`,
				"1.5":                  `entsignal: signal JobQueued: "1.5" is not a valid id: expected a whole number`,
				"99999999999999999999": `entsignal: signal JobQueued: "99999999999999999999" is not a valid id: expected a whole number of 64 bits`,
			},
			"MailWanted": {"7": `entsignal: signal MailWanted: "7" is not a valid id: expected a uuid.UUID: invalid UUID length: 1`},
		} {
			for id, want := range ids {
				for _, change := range []func(context.Context, string, ...string) (int, error){w.bus.Retry, w.bus.Discard} {
					_, err := change(ctx(t), name, id)
					var invalid *entsignal.InvalidIDError
					require.ErrorAs(t, err, &invalid)
					assert.EqualError(t, err, want)
				}
			}
		}
	})
}

func TestFailedSignalsOfUnknownTypesAndOfThoseWithoutRetryAreErrors(t *testing.T) {
	t.Parallel()
	testdb.On(t, []testdb.Kind{testdb.SQLite}, func(t *testing.T, db *testdb.DB) {
		w := open(t, db)
		calls := map[string]func(name string) error{
			"Failed":   func(name string) error { _, err := w.bus.Failed(ctx(t), entsignal.Only(name)); return err },
			"Retry":    func(name string) error { _, err := w.bus.Retry(ctx(t), name, "1"); return err },
			"RetryAll": func(name string) error { _, err := w.bus.RetryAll(ctx(t), name); return err },
			"Discard":  func(name string) error { _, err := w.bus.Discard(ctx(t), name, "1"); return err },
		}
		for method, call := range calls {
			var unknown *entsignal.UnknownSignalError
			require.ErrorAs(t, call("Nobody"), &unknown, method)
			err := call("NoteTaken")
			require.ErrorIs(t, err, entsignal.ErrNoRetry, method)
			assert.ErrorContains(t, err, "signal NoteTaken: the schema has no mixin.Retry", method)
		}
		_, err := w.bus.Retry(ctx(t), "JobQueued")
		assert.EqualError(t, err, "entsignal: signal JobQueued: no ids")
		_, err = w.bus.Failed(ctx(t), entsignal.Burst(1))
		assert.ErrorContains(t, err, "Failed doesn't use the option Burst")
		require.NoError(t, w.bus.Close(ctx(t)))
		_, err = w.bus.RetryAll(ctx(t), "JobQueued")
		assert.ErrorIs(t, err, entsignal.ErrClosed)
	})
}

func TestManyFailedSignalsAreListedRetriedAndDiscarded(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		const rows = 2500
		w := open(t, db)
		w.queue(t, rows)
		fault := entsignaltest.FailWhere(w.outbox, func(s *ent.JobQueued) error {
			if s.Number <= rows/2 {
				return entsignal.Permanent(errPoison)
			}
			return errPoison
		})
		_, err := w.JobQueued.Flush(ctx(t), entsignal.Wait(0), entsignal.Burst(rows))
		require.ErrorIs(t, err, errPoison)
		assert.Equal(t, entsignal.PendingCount{Name: "JobQueued", Count: rows, Waiting: rows / 2, Dead: rows / 2}, w.pending(t, "JobQueued"))
		failed := w.failed(t, "JobQueued")
		require.Len(t, failed, rows)
		ids := make([]string, rows)
		for i, f := range failed {
			ids[i] = f.ID
		}
		n, err := w.bus.Discard(ctx(t), "JobQueued", ids[:1200]...)
		require.NoError(t, err)
		assert.Equal(t, 1200, n)
		n, err = w.bus.RetryAll(ctx(t), "JobQueued")
		require.NoError(t, err)
		assert.Equal(t, rows-1200, n)
		fault.Stop()
		n, err = w.JobQueued.FlushMany(ctx(t))
		require.NoError(t, err)
		assert.Equal(t, rows-1200, n)
	})
}

// A claim holds its rows. Who discards one of them waits for what comes of it.
func TestDiscardWaitsForTheFlushThatSendsTheSignal(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		w := open(t, db)
		w.queue(t, 2)
		w.JobQueued.Update().SetSignalAttempts(1).ExecX(ctx(t))
		sending, goOn := make(chan struct{}), make(chan struct{})
		w.jobs.Before(func(context.Context, []*ent.JobQueued) error {
			close(sending)
			<-goOn
			return &entsignal.BatchError{Errors: []error{nil, errPoison}}
		})
		flushed := make(chan error, 1)
		go func() {
			_, err := w.JobQueued.FlushMany(context.Background())
			flushed <- err
		}()
		<-sending
		type result struct {
			n   int
			err error
		}
		discarded := make(chan result, 1)
		go func() {
			n, err := openAgain(t, db).bus.Discard(context.Background(), "JobQueued", "1", "2")
			discarded <- result{n, err}
		}()
		select {
		case r := <-discarded:
			t.Fatalf("it didn't wait: %+v", r)
		case <-time.After(100 * time.Millisecond):
		}
		close(goOn)
		require.ErrorIs(t, <-flushed, errPoison)
		assert.Equal(t, result{1, nil}, <-discarded)
		assert.Zero(t, w.pending(t, "JobQueued").Count)
	})
}

func TestErrorIsStoredInAFormThatEveryDatabaseTakes(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		w := open(t, db)
		w.queue(t, 3)
		entsignaltest.FailWhere(w.outbox, func(s *ent.JobQueued) error {
			switch s.Number {
			case 1:
				return errors.New("a\x00b\xff")
			case 2:
				return errors.New(strings.Repeat("ä", 5000))
			default:
				panic("boom")
			}
		})
		_, err := w.JobQueued.FlushMany(ctx(t))
		require.Error(t, err)
		failed := w.failed(t, "JobQueued")
		require.Len(t, failed, 3, "%v", err)
		assert.Equal(t, "a\uFFFDb\uFFFD", failed[0].Error)
		assert.Equal(t, strings.Repeat("ä", 500)+"…", failed[1].Error)
		assert.Equal(t, "panic: boom", failed[2].Error)
	})
}
