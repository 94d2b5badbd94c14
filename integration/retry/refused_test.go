package retry_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"entgo.io/ent/dialect"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/integration/internal/testdb"
	"github.com/entsignal/signalbus/integration/retry/ent"
)

// A refusal is a way in which a database keeps rows.
type refusal string

const (
	byReference refusal = "reference" // a foreign key of another table
	byError     refusal = "error"     // of a trigger
	bySilence   refusal = "silence"   // of a trigger, which keeps the row
)

// refuse makes the database keep the rows of a table with these numbers. It
// returns what makes an end to that.
func refuse(t *testing.T, db *testdb.DB, how refusal, table string, rows ...int) (end func()) {
	t.Helper()
	exec := func(statements ...string) {
		t.Helper()
		pool := db.Open(t)
		for _, s := range statements {
			_, err := pool.ExecContext(ctx(t), s)
			require.NoError(t, err, s)
		}
	}
	list := strings.Trim(strings.Join(strings.Fields(fmt.Sprint(rows)), ", "), "[]")
	if how == byReference {
		exec("CREATE TABLE keeps_"+table+" (of_row bigint, FOREIGN KEY (of_row) REFERENCES "+table+" (id))",
			"INSERT INTO keeps_"+table+" SELECT id FROM "+table+" WHERE number IN ("+list+")")
		return func() { exec("DELETE FROM keeps_" + table) }
	}
	if db.Dialect == dialect.SQLite {
		raise := "ABORT, 'kept'"
		if how == bySilence {
			raise = "IGNORE"
		}
		exec("CREATE TRIGGER keep_" + table + " BEFORE DELETE ON " + table + " WHEN OLD.number IN (" + list + ") BEGIN SELECT RAISE(" + raise + "); END")
		return func() { exec("DROP TRIGGER keep_" + table) }
	}
	if db.Dialect == dialect.MySQL {
		exec("CREATE TRIGGER keep_" + table + " BEFORE DELETE ON " + table + " FOR EACH ROW IF OLD.number IN (" + list + ") THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'kept'; END IF")
		return func() { exec("DROP TRIGGER keep_" + table) }
	}
	refuse := "RAISE EXCEPTION 'kept'"
	if how == bySilence {
		refuse = "RETURN NULL"
	}
	exec("CREATE FUNCTION keep_"+table+"() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF OLD.number IN ("+list+") THEN "+refuse+"; END IF; RETURN OLD; END $$",
		"CREATE TRIGGER keep BEFORE DELETE ON "+table+" FOR EACH ROW EXECUTE FUNCTION keep_"+table+"()")
	return func() { exec("DROP TRIGGER keep ON " + table) }
}

// onRefusals runs a test for each way in which each database keeps rows.
func onRefusals(t *testing.T, test func(t *testing.T, db *testdb.DB, how refusal)) {
	for _, how := range []refusal{byReference, byError, bySilence} {
		t.Run(string(how), func(t *testing.T) {
			t.Parallel()
			testdb.On(t, []testdb.Kind{testdb.PostgreSQL, testdb.PGX, testdb.MariaDB, testdb.SQLite}, func(t *testing.T, db *testdb.DB) {
				if how != bySilence || db.Dialect != dialect.MySQL { // MariaDB has nothing like it
					test(t, db, how)
				}
			})
		})
	}
}

const refused = ": the database refuses its deletion, so it is not sent: delete: "

func TestRowThatTheDatabaseRefusesToDeleteIsLeftOutAndEndsDead(t *testing.T) {
	t.Parallel()
	onRefusals(t, func(t *testing.T, db *testdb.DB, how refusal) {
		w := open(t, db)
		w.queue(t, 40)
		end := refuse(t, db, how, "job_queueds", 4, 7, 8)
		w.jobs.Before(failing(jobNumber, errPoison, 20))

		n, err := w.JobQueued.FlushMany(ctx(t))
		require.ErrorIs(t, err, errPoison)
		assert.ErrorContains(t, err, "4 of 40 not sent: ")
		assert.ErrorContains(t, err, "id 4 (attempt 1 of 3)"+refused)
		assert.ErrorContains(t, err, "id 20 (attempt 1 of 3): poison")
		assert.Equal(t, 36, n)
		assert.Equal(t, numbers(40, 4, 7, 8, 20), sorted(w.jobs.Keys()))
		assert.Equal(t, entsignal.PendingCount{Name: "JobQueued", Count: 4, Waiting: 4}, w.pending(t, "JobQueued"))

		w.jobs.Before(nil)
		w.wait(t)
		n, err = w.JobQueued.Flush(ctx(t), entsignal.Wait(0), entsignal.Burst(1))
		assert.ErrorContains(t, err, "id 4 (attempt 2 of 3)"+refused)
		assert.Equal(t, 1, n)
		w.wait(t)
		_, err = w.JobQueued.Send(ctx(t), w.JobQueued.Query().AllX(ctx(t))...)
		assert.ErrorContains(t, err, "id 4 (attempt 3 of 3, dead)"+refused)
		assert.Equal(t, entsignal.PendingCount{Name: "JobQueued", Count: 3, Dead: 3}, w.pending(t, "JobQueued"))
		assert.Contains(t, w.failed(t, "JobQueued")[0].Error, "the database refuses its deletion")

		end()
		_, err = w.bus.RetryAll(ctx(t), "JobQueued")
		require.NoError(t, err)
		n, err = w.JobQueued.FlushMany(ctx(t))
		require.NoError(t, err)
		assert.Equal(t, 3, n)
		assert.Equal(t, numbers(40), sorted(w.jobs.Keys()), "each was sent once")
	})
}

func TestRowThatTheDatabaseRefusesToDeleteHoldsUpNoOtherWithoutRetry(t *testing.T) {
	t.Parallel()
	onRefusals(t, func(t *testing.T, db *testdb.DB, how refusal) {
		w := open(t, db)
		w.bus.SetAutoFlush(false)
		w.NoteTaken.MapCreateBulk(make([]struct{}, 40), func(c *ent.NoteTakenCreate, i int) { c.SetNumber(i + 1) }).ExecX(ctx(t))
		refuse(t, db, how, "note_takens", 1, 2, 3, 39)
		for _, burst := range []int{100, 1} {
			_, err := w.NoteTaken.FlushMany(ctx(t), entsignal.Burst(burst))
			assert.ErrorContains(t, err, "id 1"+refused)
			assert.Equal(t, numbers(40, 1, 2, 3, 39), sorted(w.notes.Keys()))
		}
	})
}

func TestRowThatTheDatabaseRefusesToDeleteIsAnErrorOfItsOwnCommit(t *testing.T) {
	t.Parallel()
	testdb.On(t, []testdb.Kind{testdb.PostgreSQL, testdb.MariaDB, testdb.SQLite}, func(t *testing.T, db *testdb.DB) {
		w := open(t, db)
		refuse(t, db, byError, "mail_wanteds", 3)
		tx, err := w.Tx(ctx(t))
		require.NoError(t, err)
		for i := range 5 {
			tx.MailWanted.Create().SetNumber(i + 1).ExecX(ctx(t))
		}
		require.NoError(t, tx.Commit())
		require.Len(t, w.errors, 1)
		assert.ErrorContains(t, <-w.errors, "(attempt 1 of 10)"+refused)
		assert.Equal(t, numbers(5, 3), w.mails.Keys())
		assert.Equal(t, entsignal.PendingCount{Name: "MailWanted", Count: 1, Waiting: 1}, w.pending(t, "MailWanted"))
	})
}

func TestRowThatTheDatabaseRefusesToDeleteBlocksItsOrder(t *testing.T) {
	t.Parallel()
	onRefusals(t, func(t *testing.T, db *testdb.DB, how refusal) {
		w := open(t, db)
		w.step(t, 10)
		refuse(t, db, how, "step_dones", 7, 9)
		n, err := w.StepDone.FlushOrdered(ctx(t))
		assert.ErrorContains(t, err, "id 7 (attempt 1 of 2)"+refused)
		assert.Equal(t, 6, n)
		assert.Equal(t, numbers(6), w.steps.Keys(), "all before it leaves, and nothing behind it")
		_, err = w.StepDone.FlushOrdered(ctx(t))
		var blocked *entsignal.BlockedError
		require.ErrorAs(t, err, &blocked)
		assert.Equal(t, "7", blocked.ID)

		for number := 1; number <= 3; number++ {
			for _, line := range []string{"a", "b"} {
				w.LineMoved.Create().SetLine(line).SetNumber(number + 10*int(line[0]-'a')).ExecX(ctx(t))
			}
		}
		refuse(t, db, how, "line_moveds", 2)
		n, err = w.LineMoved.FlushOrdered(ctx(t))
		assert.ErrorContains(t, err, "key a: ")
		assert.ErrorContains(t, err, refused)
		assert.Equal(t, 4, n)
		assert.ElementsMatch(t, []string{"a1", "b11", "b12", "b13"}, w.moves.Keys())
	})
}

// A user who may not delete is no fault of a row.
func TestDeletionThatNobodyMayDoSpendsNoAttempt(t *testing.T) {
	t.Parallel()
	testdb.On(t, []testdb.Kind{testdb.PostgreSQL}, func(t *testing.T, db *testdb.DB) {
		w := open(t, db)
		w.queue(t, 40)
		_, err := db.Open(t).ExecContext(ctx(t), "CREATE FUNCTION nobody() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE insufficient_privilege; END $$;"+
			"CREATE TRIGGER nobody BEFORE DELETE ON job_queueds FOR EACH STATEMENT EXECUTE FUNCTION nobody()")
		require.NoError(t, err)
		for _, burst := range []int{1, 5, 40} {
			n, err := w.JobQueued.FlushMany(ctx(t), entsignal.Burst(burst))
			require.ErrorContains(t, err, "insufficient_privilege")
			assert.Zero(t, n)
		}
		assert.Empty(t, w.jobs.Keys())
		assert.Equal(t, entsignal.PendingCount{Name: "JobQueued", Count: 40}, w.pending(t, "JobQueued"))
	})
}

// Nor is one who holds what would go with it.
func TestDeletionThatWaitsTooLongForALockSpendsNoAttempt(t *testing.T) {
	t.Parallel()
	testdb.On(t, []testdb.Kind{testdb.PostgreSQL, testdb.PGX, testdb.MariaDB}, func(t *testing.T, db *testdb.DB) {
		w := open(t, db)
		w.queue(t, 8)
		pool := db.Open(t)
		for _, statement := range []string{
			"CREATE TABLE parts (of_row bigint, FOREIGN KEY (of_row) REFERENCES job_queueds (id) ON DELETE CASCADE)",
			"INSERT INTO parts SELECT id FROM job_queueds WHERE number = 3",
		} {
			_, err := pool.ExecContext(ctx(t), statement)
			require.NoError(t, err)
		}
		holder, err := pool.BeginTx(ctx(t), nil)
		require.NoError(t, err)
		defer func() { _ = holder.Rollback() }()
		_, err = holder.ExecContext(ctx(t), "SELECT * FROM parts FOR UPDATE")
		require.NoError(t, err)

		impatient := *db
		if impatient.DSN += "&lock_timeout=200"; db.Dialect == dialect.MySQL {
			impatient.DSN = db.DSN + "&innodb_lock_wait_timeout=1"
		}
		other := openAgain(t, &impatient, entsignal.WithFlushTimeout(time.Minute)) // MariaDB waits a second each time
		n, err := other.JobQueued.FlushMany(ctx(t), entsignal.Burst(10))
		require.ErrorContains(t, err, "the database refuses its deletion, so it is not sent: delete: ")
		assert.Equal(t, 7, n)
		assert.Equal(t, numbers(8, 3), sorted(other.jobs.Keys()))
		assert.Equal(t, entsignal.PendingCount{Name: "JobQueued", Count: 1}, w.pending(t, "JobQueued"))

		require.NoError(t, holder.Rollback())
		n, err = w.JobQueued.FlushMany(ctx(t))
		require.NoError(t, err)
		assert.Equal(t, 1, n)
	})
}
