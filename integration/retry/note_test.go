package retry_test

import (
	"context"
	"testing"

	"entgo.io/ent/dialect"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/integration/internal/testdb"
	"github.com/entsignal/signalbus/integration/retry/ent"
)

// refuseNotes makes the database refuse every update of a job.
func refuseNotes(t *testing.T, db *testdb.DB) {
	t.Helper()
	statements := map[string][]string{
		dialect.Postgres: {
			"CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no notes'; END $$",
			"CREATE TRIGGER refuse BEFORE UPDATE ON job_queueds FOR EACH ROW EXECUTE FUNCTION refuse()",
		},
		dialect.MySQL: {
			"CREATE TRIGGER refuse BEFORE UPDATE ON job_queueds FOR EACH ROW SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'no notes'",
		},
		dialect.SQLite: {
			"CREATE TRIGGER refuse BEFORE UPDATE ON job_queueds BEGIN SELECT RAISE(ABORT, 'no notes'); END",
		},
	}
	pool := db.Open(t)
	for _, statement := range statements[db.Dialect] {
		_, err := pool.ExecContext(ctx(t), statement)
		require.NoError(t, err)
	}
}

func TestFailureThatCannotBeNotedIsReportedAndNothingIsLostOrRepeated(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		w := open(t, db)
		w.queue(t, 10)
		refuseNotes(t, db)
		w.jobs.Before(failing(jobNumber, errPoison, 4))
		n, err := w.JobQueued.FlushMany(ctx(t), entsignal.Burst(10))
		require.ErrorIs(t, err, errPoison)
		assert.ErrorContains(t, err, "the failed attempts could not be recorded: ")
		assert.ErrorContains(t, err, "no notes")
		assert.Equal(t, 9, n)
		n, err = w.JobQueued.FlushMany(ctx(t), entsignal.Burst(1))
		require.ErrorIs(t, err, errPoison)
		assert.ErrorContains(t, err, "no notes")
		assert.Zero(t, n)
		assert.Equal(t, numbers(10, 4), sorted(w.jobs.Keys()))
		assert.Equal(t, entsignal.PendingCount{Name: "JobQueued", Count: 1}, w.pending(t, "JobQueued"))

		w.jobs.Before(nil)
		n, err = w.JobQueued.FlushMany(ctx(t))
		require.NoError(t, err)
		assert.Equal(t, 1, n)
	})
}

// A signal that is reset while it is being sent stays reset.
func TestRetryDuringAnAttemptIsNotUndoneByIt(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		w := open(t, db)
		w.queue(t, 1)
		w.JobQueued.Update().SetSignalAttempts(2).ExecX(ctx(t))
		retried := make(chan error, 1)
		w.jobs.Before(func(context.Context, []*ent.JobQueued) error {
			go func() {
				_, err := w.bus.Retry(context.Background(), "JobQueued", "1")
				retried <- err
			}()
			return errPoison
		})
		_, err := w.JobQueued.FlushMany(ctx(t))
		require.ErrorIs(t, err, errPoison)
		require.NoError(t, <-retried)
		job := w.JobQueued.Query().OnlyX(ctx(t))
		assert.Zero(t, job.SignalAttempts)
		assert.Nil(t, job.SignalFailedAt)
	})
}
