package shop_test

import (
	"context"
	"io"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/integration/internal/testdb"
	"github.com/entsignal/signalbus/integration/shop/ent"
)

// BenchmarkWritersBesideAnOrderedFlush lets 12 random writers write without a
// flush, beside one that flushes without a pause, and beside one that waits
// for a transaction that is open all the time, in turn. It reports the medians
// of their rows per second, and the longest that a transaction took, of which
// up to 0.12 s are its own pauses.
func BenchmarkWritersBesideAnOrderedFlush(b *testing.B) {
	for _, kind := range []testdb.Kind{testdb.PostgreSQL, testdb.MariaDB} {
		b.Run(kind.Name, func(b *testing.B) {
			db := testdb.New(b, kind)
			s := newShop(b)
			s.senders.AuditLogged = func(context.Context, []*ent.AuditLogged) error { return nil }
			s.open(b, db, entsignal.WithLogger(slog.New(slog.NewTextHandler(io.Discard, nil))))
			s.createTables(b)
			w := newWriters(b, db, 20*time.Millisecond)
			modes := []string{"alone", "flushed"}
			if kind.Name == testdb.PostgreSQL.Name { // elsewhere the flush would wait in a statement
				modes = append(modes, "held")
			}
			speeds, longest := make(map[string][]float64), make(map[string]time.Duration)
			for b.Loop() {
				for _, mode := range modes {
					speed, long := w.beside(b, s, mode)
					speeds[mode] = append(speeds[mode], speed)
					longest[mode] = max(longest[mode], long)
				}
			}
			for _, mode := range modes {
				slices.Sort(speeds[mode])
				b.ReportMetric(speeds[mode][len(speeds[mode])/2], mode+"-rows/s")
				b.ReportMetric(longest[mode].Seconds(), mode+"-longest-s")
			}
		})
	}
}

// beside measures one second of writing.
func (w *writers) beside(b *testing.B, s *shop, mode string) (speed float64, longest time.Duration) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var flusher sync.WaitGroup
	release := func() {}
	if mode == "held" {
		late := begin(b, w.db)
		run(b, late, auditFive)
		release = func() { require.NoError(b, late.Rollback()) }
	}
	if mode != "alone" {
		flusher.Go(func() {
			for ctx.Err() == nil {
				_, err := s.AuditLogged.FlushOrdered(ctx, entsignal.Burst(500))
				require.True(b, err == nil || ctx.Err() != nil, "%v", err)
			}
		})
	}
	w.committed, w.longest = nil, 0
	began := time.Now()
	end := time.AfterFunc(time.Second, w.stop)
	defer end.Stop()
	require.NoError(b, w.write(context.Background(), 12, 1<<30))
	took := time.Since(began)
	release()
	cancel()
	flusher.Wait()
	_, err := s.AuditLogged.FlushMany(context.Background(), entsignal.Burst(5000))
	require.NoError(b, err)
	return float64(len(w.committed)) / took.Seconds(), w.longest
}
