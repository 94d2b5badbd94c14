package shop_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/integration/internal/testdb"
	"github.com/entsignal/signalbus/integration/shop/ent"
)

// BenchmarkFlushMany drains a backlog with a sender that does nothing, beside
// its floor: the same rows read and deleted by plain SQL. Read the figures of
// one run against each other.
func BenchmarkFlushMany(b *testing.B) {
	const rows, burst = 20000, 1000
	for _, kind := range testdb.All {
		drains := map[string]func(s *shop){
			"bus": func(s *shop) {
				n, err := s.AuditLogged.FlushMany(context.Background(), entsignal.Burst(burst))
				require.NoError(b, err)
				require.Equal(b, rows, n)
			},
			"floor": func(s *shop) { drainRaw(b, s, burst) },
		}
		for _, name := range []string{"floor", "bus"} {
			b.Run(kind.Name+"/"+name, func(b *testing.B) {
				s := newShop(b)
				s.senders.AuditLogged = func(context.Context, []*ent.AuditLogged) error { return nil }
				s.open(b, testdb.New(b, kind))
				s.createTables(b)
				var spent time.Duration
				for range b.N {
					b.StopTimer()
					s.audit(b, rows)
					b.StartTimer()
					start := time.Now()
					drains[name](s)
					spent += time.Since(start)
				}
				b.ReportMetric(float64(rows*b.N)/spent.Seconds(), "rows/s")
			})
		}
	}
}

// drainRaw reads and deletes all rows by key, a transaction for each burst.
func drainRaw(b *testing.B, s *shop, burst int) {
	pool := s.db.Open(b)
	defer pool.Close()
	lock := " FOR UPDATE SKIP LOCKED"
	if isSQLite(s.db) {
		lock = ""
	}
	for last := 0; ; {
		tx, err := pool.Begin()
		require.NoError(b, err)
		rows, err := tx.Query(fmt.Sprintf("SELECT id, number, payload FROM audit_loggeds WHERE id > %d ORDER BY id LIMIT %d%s", last, burst, lock))
		require.NoError(b, err)
		first, n := 0, 0
		for ; rows.Next(); n++ {
			var a ent.AuditLogged
			require.NoError(b, rows.Scan(&a.ID, &a.Number, &a.Payload))
			if n == 0 {
				first = a.ID
			}
			last = a.ID
		}
		require.NoError(b, rows.Err())
		if n > 0 {
			_, err = tx.Exec(fmt.Sprintf("DELETE FROM audit_loggeds WHERE id BETWEEN %d AND %d", first, last))
			require.NoError(b, err)
		}
		require.NoError(b, tx.Commit())
		if n < burst {
			return
		}
	}
}

// BenchmarkWalk shows that a batch at the end of a pass costs what one at the
// start does, while an old snapshot keeps every deleted row: the metric is the
// time of the last tenth over that of the first.
func BenchmarkWalk(b *testing.B) {
	const rows, burst = 100000, 1000
	s := newShop(b)
	var at []time.Time
	s.senders.AuditLogged = func(context.Context, []*ent.AuditLogged) error {
		at = append(at, time.Now())
		return nil
	}
	s.open(b, testdb.New(b, testdb.PostgreSQL))
	s.createTables(b)
	old, err := s.db.Open(b).Begin()
	require.NoError(b, err)
	defer old.Rollback()
	_, err = old.Exec("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
	require.NoError(b, err)
	var n int
	require.NoError(b, old.QueryRow("SELECT COUNT(*) FROM audit_loggeds").Scan(&n))
	ratio := 0.0
	for range b.N {
		b.StopTimer()
		s.audit(b, rows)
		b.StartTimer()
		at = at[:0]
		_, err := s.AuditLogged.FlushMany(context.Background(), entsignal.Burst(burst))
		require.NoError(b, err)
		tenth := len(at) / 10
		first, last := at[tenth].Sub(at[0]), at[len(at)-1].Sub(at[len(at)-1-tenth])
		ratio += last.Seconds() / first.Seconds()
	}
	b.ReportMetric(ratio/float64(b.N), "last/first")
}
