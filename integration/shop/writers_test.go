package shop_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"entgo.io/ent/dialect"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/integration/internal/testdb"
	"github.com/entsignal/signalbus/integration/shop/ent"
)

// soak, if set in the environment, makes the writers write 100,000 rows.
const soak = "ENTSIGNAL_SOAK"

// writers write signals at random: transactions of several rows that stay open
// for a while, with savepoints, rollbacks, ids that are drawn before their row
// is inserted, and prepared transactions, as far as the database knows them.
type writers struct {
	db   *testdb.DB
	pool *sql.DB
	hold time.Duration // a transaction stays open for up to this long
	keys int           // a transaction locks one of them to its end
	// prepared has a place for each transaction that may be prepared at once:
	// the server has 20.
	prepared chan struct{}
	// turn is held by a transaction. On SQLite there is one, and a pause after
	// the transaction: whoever waits there tries now and then, and would not
	// find the database free until it gives up.
	turn chan struct{}

	mu        sync.Mutex
	committed []int
	longest   time.Duration // that a transaction took
	enough    bool
}

func newWriters(t testing.TB, db *testdb.DB, hold time.Duration) *writers {
	t.Helper()
	w := &writers{db: db, pool: db.Open(t), hold: hold, keys: 100, prepared: make(chan struct{}, 4), turn: make(chan struct{}, 100)}
	if isSQLite(db) {
		w.turn = make(chan struct{}, 1)
	}
	w.pool.SetMaxOpenConns(20)
	w.pool.SetMaxIdleConns(20)
	for key := range w.keys {
		run(t, w.pool, fmt.Sprintf("INSERT INTO orders (id, customer, number) VALUES (%d, '', 0)", key+1))
	}
	return w
}

// write has n writers work until so many rows are committed.
func (w *writers) write(ctx context.Context, n, rows int) error {
	w.mu.Lock()
	w.enough = false
	w.mu.Unlock()
	errs := make([]error, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			conn, err := w.pool.Conn(ctx)
			if err != nil {
				errs[i] = err
				return
			}
			defer conn.Close()
			random := rand.New(rand.NewPCG(uint64(i), 7))
			for w.goOn(rows) {
				began := time.Now()
				ids, err := w.transaction(ctx, conn, random)
				if err != nil {
					errs[i] = err
					return
				}
				w.mu.Lock()
				w.committed = append(w.committed, ids...)
				w.longest = max(w.longest, time.Since(began))
				w.mu.Unlock()
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

func (w *writers) goOn(rows int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.committed) < rows && !w.enough
}

// stop ends the writing before there are so many rows.
func (w *writers) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.enough = true
}

// transaction runs one transaction, and returns the ids that it committed.
func (w *writers) transaction(ctx context.Context, conn *sql.Conn, random *rand.Rand) (ids []int, err error) {
	w.turn <- struct{}{}
	defer func() { <-w.turn }()
	exec := func(format string, args ...any) {
		if err == nil {
			_, err = conn.ExecContext(ctx, fmt.Sprintf(format, args...))
		}
	}
	draw := func(format string, args ...any) (id int) {
		if err == nil {
			err = conn.QueryRowContext(ctx, fmt.Sprintf(format, args...)).Scan(&id)
		}
		return id
	}
	pause := func() {
		if w.hold > 0 {
			<-time.After(time.Duration(random.Int64N(int64(w.hold))))
		}
	}
	key := 1 + random.IntN(w.keys)
	insert := func() int {
		return draw("INSERT INTO audit_loggeds (number, payload) VALUES (0, '%d') RETURNING id", key)
	}
	isPostgres := w.db.Dialect == dialect.Postgres
	defer func() {
		if err != nil {
			ids, err = nil, fmt.Errorf("writer: %w", err)
		}
	}()

	if isSQLite(w.db) {
		defer pause()
		exec("BEGIN IMMEDIATE")
	} else {
		exec("BEGIN")
		exec("SELECT id FROM orders WHERE id = %d FOR UPDATE", key)
	}
	for range 1 + random.IntN(5) {
		switch what := random.IntN(10); {
		case what == 0:
			exec("SAVEPOINT a")
			insert()
			exec("ROLLBACK TO SAVEPOINT a")
			ids = append(ids, insert())
		case what == 1 && isPostgres:
			id := draw("SELECT nextval('audit_loggeds_id_seq')")
			pause()
			exec("INSERT INTO audit_loggeds (id, number, payload) VALUES (%d, 0, '%d')", id, key)
			ids = append(ids, id)
		default:
			ids = append(ids, insert())
		}
	}
	if !isSQLite(w.db) {
		pause()
	}
	switch what := random.IntN(10); {
	case what == 0:
		exec("ROLLBACK")
		ids = nil
	case what == 1 && isPostgres && w.mayPrepare():
		gid := fmt.Sprintf("%d_%d_%d", os.Getpid(), time.Now().UnixNano(), random.Uint32())
		exec("PREPARE TRANSACTION '%s'", gid)
		pause()
		exec("COMMIT PREPARED '%s'", gid)
		<-w.prepared
	default:
		exec("COMMIT")
	}
	return ids, err
}

func (w *writers) mayPrepare() bool {
	select {
	case w.prepared <- struct{}{}:
		return true
	default:
		return false
	}
}

// arrivals are the signals that a sender got, in order.
type arrivals struct {
	ids  []int
	keys []string
}

func (a *arrivals) send(_ context.Context, signals []*ent.AuditLogged) error {
	for _, s := range signals {
		a.ids = append(a.ids, s.ID)
		a.keys = append(a.keys, s.Payload)
	}
	return nil
}

// inversions counts the signals that came after one with a higher id, in all
// and of the same key.
func (a *arrivals) inversions() (all, ofKey int) {
	highest, highestOf := 0, make(map[string]int)
	for i, id := range a.ids {
		key := a.keys[i]
		if id < highest {
			all++
		}
		if id < highestOf[key] {
			ofKey++
		}
		highest, highestOf[key] = max(highest, id), max(highestOf[key], id)
	}
	return all, ofKey
}

func TestOrderedFlushKeepsTheOrderOfIDsBesideRandomWriters(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		rows, limit := 1500, time.Minute
		if isSQLite(db) {
			rows = 600
		}
		if os.Getenv(soak) != "" {
			rows, limit = 100000, 20*time.Minute
		}
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		defer cancel()
		s := newShop(t)
		var sent arrivals
		s.senders.AuditLogged = sent.send
		s.open(t, db, entsignal.WithLogger(slog.New(slog.DiscardHandler)))
		s.createTables(t)
		hold := 20 * time.Millisecond
		if isSQLite(db) {
			hold = time.Millisecond // they take turns
		}
		w := newWriters(t, db, hold)
		began := time.Now()
		done := make(chan error, 1)
		go func() { done <- w.write(ctx, 12, rows) }()
		var err error
		for working := true; working; {
			select {
			case err = <-done:
				working = false
			default:
			}
			_, flushErr := s.AuditLogged.FlushOrdered(ctx, entsignal.Burst(500))
			require.NoError(t, flushErr)
		}
		require.NoError(t, err)
		took := time.Since(began)

		all, ofKey := sent.inversions()
		t.Logf("%d rows in %v, %.0f/s; %d inversions, %d of a key", len(sent.ids), took.Round(time.Millisecond), float64(len(sent.ids))/took.Seconds(), all, ofKey)
		assert.Zero(t, ofKey)
		if db.Dialect != dialect.MySQL {
			assert.Zero(t, all)
		}
		slices.Sort(sent.ids)
		slices.Sort(w.committed)
		assert.Equal(t, w.committed, sent.ids, "none is lost, none repeated")
	})
}
