package crash

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"entgo.io/ent/dialect"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/integration/crash/ent"
	"github.com/entsignal/signalbus/integration/internal/testdb"
	"github.com/entsignal/signalbus/internal/faultproxy"
)

// Config is what a run is about.
type Config struct {
	Mode Mode
	Kind testdb.Kind
	Seed uint64 // of the schedule of faults
	// Faults are how many there shall be at least. Without any, each worker
	// of the writers runs Transactions.
	Faults       Faults
	Transactions int
	// Latency is that of the way to the broker, 2 ms by default. Without it a
	// confirm follows its message so closely that a cut rarely comes in
	// between.
	Latency time.Duration
	// Fade is for how long at most a connection loses what is sent before it
	// is cut, by default 20 ms.
	Fade time.Duration
	// Hold is for how long at most transactions stay open when they are done,
	// by default 10 ms.
	Hold time.Duration
	// Binary is the program of the processes, by default this test's. Env is
	// added to their environment.
	Binary string
	Env    []string
}

// promised returns the mode with what the database lets it promise.
func (c Config) promised() Mode {
	mode := c.Mode
	mode.ordersIDs = mode.ordersIDs && c.Kind.Dialect == dialect.Postgres
	return mode
}

// Result is what a run has shown.
type Result struct {
	Config
	Verdict
	Faults Faults // that happened
	Took   time.Duration
}

const (
	// writers and flushers are how many processes run at a time.
	writers  = 2
	flushers = 2

	defaultLatency = 2 * time.Millisecond
	defaultFade    = 20 * time.Millisecond
	defaultHold    = 10 * time.Millisecond
)

// run is a run that is going on.
type run struct {
	Config
	schedule schedule
	db       *testdb.DB
	admin    *sql.DB
	queue    *queue
	proxy    *faultproxy.Proxy
	broker   string // the URL through the proxy
	strikes  *strikes
	number   atomic.Int64 // of the last process

	mu       sync.Mutex
	evidence evidence
}

// Run runs processes, lets the faults strike them, has a healthy flusher send
// what is left, and judges. It fails the test only if it can't tell what
// happened; the verdict is for the caller to check.
func Run(t testing.TB, c Config) Result {
	t.Helper()
	began := time.Now()
	if c.Binary == "" {
		c.Binary = os.Args[0]
	}
	if c.Latency == 0 {
		c.Latency = defaultLatency
	}
	if c.Fade == 0 {
		c.Fade = defaultFade
	}
	if c.Hold == 0 {
		c.Hold = defaultHold
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute+time.Second*time.Duration(c.Faults.sum()))
	defer cancel()
	url := testdb.Env(t, "ENTSIGNAL_TEST_AMQP")
	r := &run{
		Config:   c,
		schedule: schedule{c.Seed, c.Kind.Name + " " + c.Mode.Name},
		db:       testdb.New(t, c.Kind),
		queue:    newQueue(t, url),
		strikes:  newStrikes(c.Faults),
		evidence: evidence{mode: c.promised(), killed: make(map[int]bool)},
	}
	r.proxy, r.broker = faultproxy.ForURL(t, url, "5672")
	r.proxy.Latency.Store(int64(c.Latency))
	r.admin = r.db.Open(t)
	healthy, err := open(c.Mode, r.db, url, r.queue.name, r.tell)
	require.NoError(t, err)
	r.db.CreateTables(t, func(w io.Writer) error { return healthy.client.Schema.WriteTo(ctx, w) })
	healthy.client.Key.MapCreateBulk(make([]struct{}, keys), func(*ent.KeyCreate, int) {}).ExecX(ctx)

	if c.Faults == (Faults{}) {
		err = r.undisturbed(ctx)
	} else {
		err = r.disturbed(ctx)
	}
	require.NoError(t, err, "seed %d, %+v", c.Seed, r.strikes.sum())
	require.NoError(t, r.drain(ctx, healthy), "seed %d", c.Seed)
	r.evidence.ledger = healthy.client.Entry.Query().IDsX(ctx)
	r.evidence.left, err = healthy.pending(ctx)
	require.NoError(t, err)
	require.NoError(t, healthy.close())
	r.evidence.received, err = r.queue.all(ctx)
	require.NoError(t, err)
	r.checkConnections(t)
	happened := r.strikes.sum()
	r.evidence.sessions = happened.Sessions + happened.Pauses
	return Result{c, judge(r.evidence), happened, time.Since(began)}
}

// undisturbed has the writers run their transactions while flushers flush.
func (r *run) undisturbed(ctx context.Context) error {
	var all []*process
	for i := range writers + flushers {
		p, err := r.start(i < writers, r.Transactions)
		if err != nil {
			return errors.Join(err, r.stop(all))
		}
		all = append(all, p)
	}
	for _, p := range all[:writers] {
		select {
		case <-p.done:
		case <-p.over:
		case <-ctx.Done():
			return errors.Join(ctx.Err(), r.stop(all))
		}
	}
	return r.stop(all)
}

// disturbed replaces the processes as they are killed, until there were
// faults enough. Those that live then stop gracefully.
func (r *run) disturbed(ctx context.Context) error {
	over, end := context.WithCancel(ctx)
	defer end()
	var (
		all  sync.WaitGroup
		mu   sync.Mutex
		errs []error
	)
	goOn := func(f func(context.Context) error) {
		all.Go(func() {
			if err := f(over); err != nil {
				end()
				mu.Lock()
				defer mu.Unlock()
				errs = append(errs, err)
			}
		})
	}
	for i := range writers + flushers {
		goOn(func(ctx context.Context) error { return r.replace(ctx, i) })
	}
	if r.Faults.Sessions > 0 {
		goOn(r.endSessions)
	}
	if r.Faults.Cuts > 0 {
		goOn(func(ctx context.Context) error { r.cutConnections(ctx); return nil })
	}
	select {
	case <-r.strikes.enough:
	case <-over.Done(): // an error, or the time is up
	}
	end()
	all.Wait()
	return errors.Join(append(errs, ctx.Err())...)
}

// replace keeps a process running in a place, and lets faults strike it until
// it has ended: each after a short while, and one that ends it after some calls,
// or none, so that on a slow machine too processes get something done before.
func (r *run) replace(ctx context.Context, place int) error {
	at := r.schedule.stream(fmt.Sprintf("processes %d", place))
	for {
		p, err := r.start(place < writers, 0)
		if err != nil {
			return err
		}
		select {
		case <-p.ready:
		case <-p.over:
		case <-time.After(patience):
		}
		for over := false; !over; {
			if r.Faults.end() {
				p.await(ctx, at.IntN(maxCalls+1))
			}
			if !pause(ctx, at.between(150*time.Millisecond, 600*time.Millisecond)) {
				return r.stop([]*process{p})
			}
			if over, err = r.strike(ctx, at, p, place >= writers); err != nil {
				return err
			}
		}
	}
}

func (r *run) start(writes bool, transactions int) (*process, error) {
	dsn := r.db.DSN
	if r.Faults.Pauses > 0 {
		dsn = withIdleLimit(r.db)
	}
	return start(r.Binary, r.Env, orders{
		Process: int(r.number.Add(1)), Writes: writes, Mode: r.Mode.Name, Kind: r.Kind.Name, DSN: dsn,
		Broker: r.broker, Queue: r.queue.name, Seed: r.Seed, Transactions: transactions, Hold: r.Hold,
	})
}

// stop lets processes finish, the writers first.
func (r *run) stop(all []*process) (err error) {
	for _, p := range all {
		stopped := p.stop(0)
		err = errors.Join(err, stopped, r.collect(p))
	}
	return err
}

// collect keeps what a process that has ended has told. It returns an error if
// it ended otherwise than it should.
func (r *run) collect(p *process) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.evidence.reports = append(r.evidence.reports, p.reports...)
	r.evidence.killed[p.number] = p.killed()
	return p.failure()
}

// tell keeps what the healthy flusher tells.
func (r *run) tell(told report) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.evidence.reports = append(r.evidence.reports, told)
}

// drain flushes until nothing is left.
func (r *run) drain(ctx context.Context, a *app) error {
	for i := 1; ; i++ {
		id := callID{Call: i}
		if _, err := a.flush(id.context(ctx), maxBurst); err != nil {
			return fmt.Errorf("the healthy flusher: %w", err)
		}
		r.tell(report{batchID: batchID{callID: id}})
		// A session of a killed process may hold rows for another moment.
		if left, err := a.pending(ctx); err != nil || left == 0 {
			return err
		}
		if !pause(ctx, 5*time.Millisecond) {
			return fmt.Errorf("rows are left: %w", ctx.Err())
		}
	}
}

// checkConnections checks that the processes left no connection behind.
func (r *run) checkConnections(t testing.TB) {
	t.Helper()
	query := "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
	if r.db.Dialect == dialect.MySQL {
		query = "SELECT count(*) FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID()"
	}
	r.admin.SetMaxOpenConns(1)
	r.admin.SetMaxIdleConns(1)
	assert.EventuallyWithT(t, func(t *assert.CollectT) {
		var sessions int
		require.NoError(t, r.admin.QueryRow(query).Scan(&sessions))
		assert.Zero(t, sessions, "sessions of the database")
		assert.Zero(t, r.proxy.Open(), "connections to the broker")
	}, 20*time.Second, 10*time.Millisecond)
}
