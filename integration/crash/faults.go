package crash

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"syscall"
	"time"

	"entgo.io/ent/dialect"
	"github.com/go-sql-driver/mysql"

	"github.com/entsignal/signalbus/integration/internal/testdb"
	"github.com/entsignal/signalbus/internal/backoff"
)

// Faults counts the faults of a run by kind. The SIGTERM is none: whoever gets
// it is expected to leave nothing behind.
type Faults struct {
	Kills    int // processes that were ended by SIGKILL
	Terms    int // processes that were ended by SIGTERM
	Pauses   int // flushers that stood still for longer than the database lets transactions idle
	Sessions int // sessions of the database that were ended while they were busy
	Cuts     int // connections to the broker that were reset
}

// atLeast reports whether there were at least as many of each kind.
func (f Faults) atLeast(want Faults) bool {
	return f.Kills >= want.Kills && f.Terms >= want.Terms && f.Pauses >= want.Pauses && f.Sessions >= want.Sessions && f.Cuts >= want.Cuts
}

// sum is how many there are of all kinds.
func (f Faults) sum() int { return f.Kills + f.Terms + f.Pauses + f.Sessions + f.Cuts }

// end reports whether some of them end processes.
func (f Faults) end() bool { return f.Kills > 0 || f.Terms > 0 }

// strikes counts the faults while they happen.
type strikes struct {
	want   Faults
	enough chan struct{} // closed when there were as many as wanted

	mu sync.Mutex
	Faults
}

func newStrikes(want Faults) *strikes { return &strikes{want: want, enough: make(chan struct{})} }

func (s *strikes) count(more Faults) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.atLeast(s.want)
	s.Kills += more.Kills
	s.Terms += more.Terms
	s.Pauses += more.Pauses
	s.Sessions += more.Sessions
	s.Cuts += more.Cuts
	if !before && s.atLeast(s.want) {
		close(s.enough)
	}
}

func (s *strikes) sum() Faults {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.Faults
}

// pause waits for d. It reports false if ctx ended.
func pause(ctx context.Context, d time.Duration) bool {
	return backoff.Wait(ctx, d, nil)
}

// strike lets a fault happen to the process in a place. It reports whether the
// process has ended by it.
func (r *run) strike(ctx context.Context, at *stream, p *process, flushes bool) (over bool, err error) {
	if flushes && r.Faults.Pauses > 0 && (!r.Faults.end() || at.IntN(2) == 0) {
		err := p.standStill(ctx, idleLimit(r.db)+at.between(200*time.Millisecond, 500*time.Millisecond))
		r.strikes.count(Faults{Pauses: 1})
		return false, err
	}
	if !r.Faults.end() {
		return false, nil
	}
	if r.Faults.Kills == 0 || r.Faults.Terms > 0 && at.IntN(2) == 0 {
		err := p.stop(syscall.SIGTERM)
		r.strikes.count(Faults{Terms: 1})
		return true, errors.Join(err, r.collect(p))
	}
	p.kill()
	r.strikes.count(Faults{Kills: 1})
	return true, r.collect(p)
}

// idleLimit is after how long the database ends idle transactions of the
// processes, if they are to stand still.
func idleLimit(db *testdb.DB) time.Duration {
	if db.Dialect == dialect.MySQL {
		return time.Second // its unit
	}
	return 300 * time.Millisecond
}

// withIdleLimit returns the DSN of the database with its idle limit.
func withIdleLimit(db *testdb.DB) string {
	if db.Dialect == dialect.MySQL {
		return fmt.Sprintf("%s&idle_transaction_timeout=%d", db.DSN, idleLimit(db)/time.Second)
	}
	return fmt.Sprintf("%s&idle_in_transaction_session_timeout=%d", db.DSN, idleLimit(db).Milliseconds())
}

// cutConnections resets the connections to the broker every now and then.
// Mostly they have lost messages, confirms or both for a short while before.
func (r *run) cutConnections(ctx context.Context) {
	at := r.schedule.stream("cuts")
	for pause(ctx, at.between(100*time.Millisecond, 400*time.Millisecond)) {
		cut := r.proxy.Fade(at.IntN(2) == 0, at.IntN(2) == 0)
		pause(ctx, at.between(0, r.Fade))
		r.strikes.count(Faults{Cuts: cut()})
	}
}

// endSessions ends a busy session of the test's own database every now and
// then. It returns the error of a database that doesn't let it.
func (r *run) endSessions(ctx context.Context) error {
	at := r.schedule.stream("sessions")
	for pause(ctx, at.between(100*time.Millisecond, 400*time.Millisecond)) {
		victims, err := busySessions(ctx, r.db, r.admin)
		if err != nil && ctx.Err() == nil {
			return fmt.Errorf("list the busy sessions: %w", err)
		}
		if len(victims) == 0 {
			continue
		}
		ended, err := endSession(ctx, r.db, r.admin, victims[at.IntN(len(victims))])
		if err != nil && ctx.Err() == nil {
			return fmt.Errorf("end a session: %w", err)
		}
		if ended {
			r.strikes.count(Faults{Sessions: 1})
		}
	}
	return nil
}

// busySessions returns the sessions of the database that are in a transaction
// or run a statement, other than that of admin.
func busySessions(ctx context.Context, db *testdb.DB, admin *sql.DB) ([]int64, error) {
	query := "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND state <> 'idle' ORDER BY pid"
	if db.Dialect == dialect.MySQL {
		query = "SELECT p.id FROM information_schema.innodb_trx t JOIN information_schema.processlist p ON p.id = t.trx_mysql_thread_id" +
			" WHERE p.db = DATABASE() AND p.id <> CONNECTION_ID() ORDER BY p.id"
	}
	rows, err := admin.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var ids []int64
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
}

// endSession reports false if the session was gone.
func endSession(ctx context.Context, db *testdb.DB, admin *sql.DB, id int64) (bool, error) {
	if db.Dialect == dialect.MySQL {
		_, err := admin.ExecContext(ctx, fmt.Sprintf("KILL CONNECTION %d", id))
		var gone *mysql.MySQLError
		if errors.As(err, &gone) && gone.Number == 1094 { // ER_NO_SUCH_THREAD
			return false, nil
		}
		return err == nil, err
	}
	var ended bool
	err := admin.QueryRowContext(ctx, "SELECT pg_terminate_backend($1)", id).Scan(&ended)
	return ended, err
}
