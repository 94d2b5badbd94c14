package retry_test

import (
	"errors"
	"fmt"
	"net/url"
	"testing"

	"entgo.io/ent/dialect"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/entsignal/entsignaltest"
	"github.com/entsignal/signalbus/integration/internal/testdb"
	"github.com/entsignal/signalbus/integration/retry/ent"
)

// inLatin1 returns a database whose encoding, or that of the column, has no
// emoji.
func inLatin1(t *testing.T, db *testdb.DB) (*testdb.DB, string) {
	t.Helper()
	if db.Dialect != dialect.Postgres {
		return db, map[string]string{
			dialect.MySQL:  "ALTER TABLE job_queueds MODIFY signal_error TEXT CHARACTER SET utf8mb3",
			dialect.SQLite: "CREATE TRIGGER ascii BEFORE UPDATE ON job_queueds WHEN NEW.signal_error GLOB '*😀*' BEGIN SELECT RAISE(ABORT, 'an emoji'); END",
		}[db.Dialect]
	}
	u, err := url.Parse(db.DSN)
	require.NoError(t, err)
	u.Path += "_latin1"
	if q := u.Query(); db.Name == testdb.PGX.Name { // which would take the database's
		q.Set("client_encoding", "UTF8")
		u.RawQuery = q.Encode()
	}
	latin1 := *db
	latin1.DSN = u.String()
	pool := db.Open(t)
	_, err = pool.Exec("CREATE DATABASE " + u.Path[1:] + " ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")
	require.NoError(t, err)
	t.Cleanup(func() {
		_, err := pool.Exec("DROP DATABASE " + u.Path[1:] + " WITH (FORCE)")
		assert.NoError(t, err)
	})
	return &latin1, "SELECT 1"
}

func TestErrorThatTheDatabaseHasNoCharactersForIsNotedInASCII(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		db, statement := inLatin1(t, db)
		testErrorText(t, db, statement, "refused “for now” 😀", `refused \u201cfor now\u201d \U0001f600`)
	})
}

func TestErrorThatIsTooLongForItsColumnIsNotedShorterOrNotAtAll(t *testing.T) {
	t.Parallel()
	const text = "refused, because there is nobody at home who could take it"
	for size, want := range map[int]string{50: text[:47] + "...", 10: ""} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			t.Parallel()
			testdb.Each(t, func(t *testing.T, db *testdb.DB) {
				testErrorText(t, db, map[string]string{
					dialect.Postgres: fmt.Sprintf("ALTER TABLE job_queueds ALTER signal_error TYPE varchar(%d)", size),
					dialect.MySQL:    fmt.Sprintf("ALTER TABLE job_queueds MODIFY signal_error VARCHAR(%d)", size),
					dialect.SQLite:   fmt.Sprintf("CREATE TRIGGER short BEFORE UPDATE ON job_queueds WHEN length(NEW.signal_error) > %d BEGIN SELECT RAISE(ABORT, 'too long'); END", size),
				}[db.Dialect], text, want)
			})
		})
	}
}

// testErrorText lets signals fail with a text, alone and among others, and
// expects that the attempts count.
func testErrorText(t *testing.T, db *testdb.DB, statement, text, want string) {
	t.Helper()
	w := open(t, db)
	_, err := db.Open(t).ExecContext(ctx(t), statement)
	require.NoError(t, err)
	failure := errors.New(text)
	entsignaltest.FailWhere(w.outbox, func(s *ent.JobQueued) error {
		switch s.Number {
		case 2:
			return errors.New("plain")
		case 4:
			return failure
		}
		return nil
	})
	for _, burst := range []int{10, 1} {
		w.JobQueued.Delete().ExecX(ctx(t))
		w.outbox.Reset()
		w.queue(t, 5)
		for attempt := 1; attempt <= 3; attempt++ {
			n, err := w.JobQueued.FlushMany(ctx(t), entsignal.Burst(burst))
			require.ErrorIs(t, err, failure)
			assert.NotContains(t, err.Error(), "not noted")
			if attempt == 1 {
				assert.Equal(t, 3, n)
			}
			failed := w.failed(t, "JobQueued")
			require.Len(t, failed, 2)
			assert.Equal(t, attempt, failed[0].Attempts)
			assert.Equal(t, attempt, failed[1].Attempts)
			assert.Equal(t, want, failed[1].Error)
			w.wait(t)
		}
		assert.Equal(t, 2, w.pending(t, "JobQueued").Dead)
		n, err := w.JobQueued.FlushMany(ctx(t), entsignal.Burst(burst))
		require.NoError(t, err)
		assert.Zero(t, n)
		assert.Equal(t, numbers(5, 2, 4), sorted(w.jobs.Keys()))
	}
}
