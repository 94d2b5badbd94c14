package retry_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/integration/internal/testdb"
	"github.com/entsignal/signalbus/integration/retry/ent"
)

// zones are settings of connections with which processes see the digits of a
// time differently.
var zones = map[string][]string{
	"mariadb":  {"", "&loc=America%2FNew_York", "&loc=Asia%2FTokyo&interpolateParams=true", "&time_zone=%27%2B09%3A00%27", "&loc=Asia%2FTokyo&time_zone=%27-05%3A00%27"},
	"postgres": {"", "&TimeZone=America/New_York"},
	"pgx":      {"", "&TimeZone=Asia/Tokyo"},
	"sqlite":   {"", "&_timezone=America/New_York", "&_time_format=sqlite"},
}

// MinBackoff of the signals is an hour, less a random part of up to a half.
func TestTimeOfTheNextAttemptIsTheSameInEachZone(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		w := open(t, db)
		var processes []*works
		for _, zone := range zones[db.Name] {
			set := *db
			set.DSN += zone
			processes = append(processes, openAgain(t, &set))
		}
		for i, writer := range processes {
			w.queue(t, 1)
			w.StepDone.Create().SetNumber(1).ExecX(ctx(t))
			writer.jobs.Before(func(context.Context, []*ent.JobQueued) error { return errPoison })
			writer.steps.Before(func(context.Context, []*ent.StepDone) error { return errPoison })
			begin := time.Now()
			_, err := writer.JobQueued.FlushMany(ctx(t))
			require.ErrorIs(t, err, errPoison)
			_, err = writer.StepDone.FlushOrdered(ctx(t))
			require.ErrorIs(t, err, errPoison)
			for j, reader := range processes {
				reader.outbox.Reset()
				n, err := reader.JobQueued.FlushMany(ctx(t))
				require.NoError(t, err)
				assert.Zero(t, n, "%d wrote, %d sends", i, j)
				jobs := reader.JobQueued.Query().AllX(ctx(t))
				require.Len(t, jobs, 1)
				failed := reader.failed(t, "JobQueued")
				require.Len(t, failed, 1)
				assert.WithinRange(t, *failed[0].RetryAt, begin.Add(29*time.Minute), begin.Add(61*time.Minute), "%d wrote, %d reads", i, j)
				assert.Equal(t, 1, reader.pending(t, "JobQueued").Waiting, "%d wrote, %d counts", i, j)
				_, err = reader.StepDone.FlushOrdered(ctx(t))
				var blocked *entsignal.BlockedError
				if assert.True(t, errors.As(err, &blocked), "%d wrote, %d sends in order: %v", i, j, err) {
					assert.WithinRange(t, blocked.RetryAt, begin.Add(time.Second), begin.Add(61*time.Minute))
				}
				assert.Empty(t, reader.jobs.Keys())
			}
			writer.jobs.Before(nil)
			writer.steps.Before(nil)
			// An attempt whose time has come is made by everybody.
			for _, table := range []string{"job_queueds", "step_dones"} {
				past := map[string]string{
					"mysql":    "UTC_TIMESTAMP() - INTERVAL 2 MINUTE",
					"postgres": "now() - INTERVAL '2 minutes'",
					"sqlite3":  "strftime('%Y-%m-%d %H:%M:%S +0000 UTC', 'now', '-2 minutes')",
				}[db.Dialect]
				_, err := db.Open(t).ExecContext(ctx(t), "UPDATE "+table+" SET signal_retry_at = "+past)
				require.NoError(t, err)
			}
			reader := processes[(i+1)%len(processes)]
			n, err := reader.JobQueued.FlushMany(ctx(t))
			require.NoError(t, err)
			assert.Equal(t, 1, n, "%d wrote", i)
			n, err = reader.StepDone.FlushOrdered(ctx(t))
			require.NoError(t, err)
			assert.Equal(t, 1, n, "%d wrote", i)
		}
	})
}
