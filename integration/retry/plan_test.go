package retry_test

import (
	"context"
	stdsql "database/sql"
	"fmt"
	"io"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/integration/internal/testdb"
	"github.com/entsignal/signalbus/integration/retry/ent"
)

// spy is a driver that notes the statements that run through it.
type spy struct {
	*entsql.Driver
	notes *statements
}

type statements struct {
	mu  sync.Mutex
	all []statement
}

type statement struct {
	text string
	args any
}

func (s *statements) add(text string, args any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, statement{text, args})
}

// take returns the statements since the last call.
func (s *statements) take() []statement {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.all
	s.all = nil
	return all
}

func (d *spy) Exec(ctx context.Context, query string, args, v any) error {
	d.notes.add(query, args)
	return d.Driver.Exec(ctx, query, args, v)
}

func (d *spy) Query(ctx context.Context, query string, args, v any) error {
	d.notes.add(query, args)
	return d.Driver.Query(ctx, query, args, v)
}

func (d *spy) Tx(ctx context.Context) (dialect.Tx, error) { return d.BeginTx(ctx, nil) }

func (d *spy) BeginTx(ctx context.Context, opts *stdsql.TxOptions) (dialect.Tx, error) {
	d.notes.add("BEGIN", nil)
	tx, err := d.Driver.BeginTx(ctx, opts)
	return &spyTx{tx, d.notes}, err
}

type spyTx struct {
	dialect.Tx
	notes *statements
}

func (t *spyTx) Exec(ctx context.Context, query string, args, v any) error {
	t.notes.add(query, args)
	return t.Tx.Exec(ctx, query, args, v)
}

func (t *spyTx) Query(ctx context.Context, query string, args, v any) error {
	t.notes.add(query, args)
	return t.Tx.Query(ctx, query, args, v)
}

func (t *spyTx) Commit() error {
	t.notes.add("COMMIT", nil)
	return t.Tx.Commit()
}

// spied opens works whose statements are noted.
func spied(t *testing.T, db *testdb.DB) (*works, *statements) {
	t.Helper()
	notes := &statements{}
	w := newWorks(t, db, &spy{db.Driver(t), notes})
	db.CreateTables(t, func(out io.Writer) error { return w.Schema.WriteTo(ctx(t), out) })
	return w, notes
}

func TestRetryCostsWhatIsHealthyNoStatement(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		w, notes := spied(t, db)
		w.queue(t, 1)
		_, err := w.bus.FlushMany(ctx(t)) // on SQLite the first batch looks for the lock file
		require.NoError(t, err)
		for _, burst := range []int{1, 4} {
			for name, flush := range map[string]func(context.Context, ...entsignal.FlushOption) (int, error){
				"flush": func(ctx context.Context, opts ...entsignal.FlushOption) (int, error) {
					return w.bus.Flush(ctx, append(opts, entsignal.Wait(0))...)
				},
				"flushmany":    w.bus.FlushMany,
				"flushordered": w.bus.FlushOrdered,
			} {
				count := func(signal string) int {
					w.queue(t, 8)
					w.NoteTaken.MapCreateBulk(make([]struct{}, 8), func(c *ent.NoteTakenCreate, i int) { c.SetNumber(i) }).ExecX(ctx(t))
					notes.take()
					n, err := flush(ctx(t), entsignal.Only(signal), entsignal.Burst(burst))
					require.NoError(t, err)
					require.Equal(t, 8, n)
					count := len(notes.take())
					_, err = w.bus.FlushMany(ctx(t))
					require.NoError(t, err)
					return count
				}
				// An ordered flush looks at the front again from time to time, so the least
				// of several counts is the one without such a look.
				with, without := count("JobQueued"), count("NoteTaken")
				for range 9 {
					if with == without {
						break
					}
					with, without = min(with, count("JobQueued")), min(without, count("NoteTaken"))
				}
				assert.Positive(t, without)
				assert.Equal(t, without, with, "%s, burst %d", name, burst)
			}
		}
	})
}

// What leaves out the signals that wait must not keep the database from walking
// along the key. The statistics are those of a table that was last looked at
// when only dead signals were left in it: then PostgreSQL takes the alive ones
// for rare, and would read and sort the whole table for each batch if it could
// tell them.
func TestFlushesWalkAlongTheKeyWithRetryToo(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		w, notes := spied(t, db)
		w.queue(t, 20)
		w.JobQueued.Update().SetSignalAttempts(1).SetSignalFailedAt(time.Now().UTC().Truncate(time.Second)).ExecX(ctx(t))
		analyze := map[string]string{dialect.Postgres: "ANALYZE job_queueds", dialect.MySQL: "ANALYZE TABLE job_queueds", dialect.SQLite: "ANALYZE"}
		pool := db.Open(t)
		_, err := pool.ExecContext(ctx(t), analyze[db.Dialect])
		require.NoError(t, err)
		w.queue(t, 10000)

		var plans, plainPlans []string
		w.jobs.Before(func(context.Context, []*ent.JobQueued) error { // while the rows are there
			for _, s := range notes.take() {
				if plain := dueCondition.ReplaceAllString(s.text, ""); plain != s.text {
					args := s.args.([]any)
					plans = append(plans, explain(t, pool, db, s.text, args))
					if strings.ContainsAny(dueCondition.FindString(s.text), "?$") {
						args = args[:len(args)-1]
					}
					plainPlans = append(plainPlans, explain(t, pool, db, plain, args))
				}
			}
			return nil
		})
		notes.take()
		n, err := w.JobQueued.FlushMany(ctx(t), entsignal.Burst(500))
		require.NoError(t, err)
		assert.Equal(t, 10000, n)
		require.Len(t, plans, 20)
		assert.Equal(t, plainPlans, plans)
		for _, plan := range plans {
			assert.Regexp(t, "Index Scan using job_queueds_pkey|PRIMARY|INTEGER PRIMARY KEY", plan)
			assert.NotContains(t, plan, "Sort")
		}
	})
}

// Until a table is analyzed, the database can only guess how many rows are left. It must
// not read and sort all of them for each batch.
func TestFlushesWalkAlongTheKeyOfATableThatWasNeverAnalyzed(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		w, notes := spied(t, db)
		pool := db.Open(t)
		if db.Dialect == dialect.Postgres {
			_, err := pool.ExecContext(ctx(t), "ALTER TABLE job_queueds SET (autovacuum_enabled = off)")
			require.NoError(t, err)
		}
		for name, flush := range map[string]func() (int, error){
			"flush":        func() (int, error) { return w.JobQueued.Flush(ctx(t), entsignal.Wait(0), entsignal.Burst(100)) },
			"flushmany":    func() (int, error) { return w.JobQueued.FlushMany(ctx(t), entsignal.Burst(100)) },
			"flushordered": func() (int, error) { return w.JobQueued.FlushOrdered(ctx(t), entsignal.Burst(100)) },
		} {
			w.queue(t, 10000)
			var plans []string
			w.jobs.Before(func(context.Context, []*ent.JobQueued) error { // while the rows are there
				for _, s := range notes.take() {
					if len(plans) < 5 && batchQuery.MatchString(s.text) {
						plans = append(plans, explain(t, pool, db, s.text, s.args.([]any)))
					}
				}
				return nil
			})
			notes.take()
			n, err := flush()
			require.NoError(t, err)
			assert.Equal(t, 10000, n)
			require.Len(t, plans, 5, name)
			for _, plan := range plans {
				assert.Regexp(t, "Index Scan using job_queueds_pkey|PRIMARY|INTEGER PRIMARY KEY|SCAN job_queueds $", plan, name)
				assert.NotRegexp(t, "Sort|filesort|TEMP B-TREE", plan, name)
			}
		}
	})
}

// batchQuery is the query of a batch.
var batchQuery = regexp.MustCompile(`ORDER BY .* LIMIT [0-9]{2,}`)

// dueCondition is the condition that leaves out what waits.
var dueCondition = regexp.MustCompile(` AND CASE WHEN .* <> 1`)

// explain returns the plan of a query as text, without conditions and costs.
func explain(t *testing.T, pool *stdsql.DB, db *testdb.DB, query string, args []any) string {
	t.Helper()
	verb := map[string]string{dialect.Postgres: "EXPLAIN (COSTS OFF) ", dialect.MySQL: "EXPLAIN ", dialect.SQLite: "EXPLAIN QUERY PLAN "}
	rows, err := pool.QueryContext(ctx(t), verb[db.Dialect]+query, args...)
	require.NoError(t, err)
	defer rows.Close()
	columns, err := rows.Columns()
	require.NoError(t, err)
	var plan strings.Builder
	for rows.Next() {
		values, into := make([]stdsql.NullString, len(columns)), make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		require.NoError(t, rows.Scan(into...))
		for i, v := range values {
			if columns[i] != "rows" && columns[i] != "filtered" && !strings.Contains(v.String, "Filter: ") {
				fmt.Fprint(&plan, v.String, " ")
			}
		}
	}
	require.NoError(t, rows.Err())
	return plan.String()
}
