package signalmetrics

import (
	"context"
	"errors"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/entsignal/signalbus/entsignal"
)

func TestTextEscapesWhatTheFormatEscapes(t *testing.T) {
	t.Parallel()
	var out text
	out.family("m", gauge, "one \\ and\ntwo \"quoted\"")
	out.sample("m", labels{{"a", "\\ \n \""}, {"b", "ü"}}, -1)
	out.seconds("m", labels{{"a", ""}}, 1500*time.Microsecond)
	assert.Equal(t, "# HELP m one \\\\ and\\ntwo \"quoted\"\n# TYPE m gauge\n"+
		`m{a="\\ \n \"",b="ü"} -1`+"\n"+`m{a=""} 0.0015`+"\n", out.String())
}

func TestHistogramIsCumulativeAndItsBoundsAreInclusive(t *testing.T) {
	t.Parallel()
	h := newHistograms([]entsignal.Mode{entsignal.ModeFlush}, []time.Duration{time.Millisecond, time.Second})[entsignal.ModeFlush]
	assert.False(t, h.used())
	for _, d := range []time.Duration{0, time.Millisecond, time.Millisecond + 1, time.Second, 3 * time.Second} {
		h.observe(d)
	}
	assert.True(t, h.used())
	var out text
	out.histogram("h", labels{{"signal", "A"}}, h)
	assert.Equal(t, `h_bucket{signal="A",le="0.001"} 2
h_bucket{signal="A",le="1"} 4
h_bucket{signal="A",le="+Inf"} 5
h_sum{signal="A"} 4.002000001
h_count{signal="A"} 5
`, out.String())
}

func TestEventsAreCountedWhileTheyOccur(t *testing.T) {
	t.Parallel()
	e := newEvents([]entsignal.Info{{Name: "A", AutoFlush: true}})
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 500 {
				e.Observe(t.Context(), entsignal.Sent{Signal: "A", Mode: entsignal.ModeAutoFlush, Count: 2, Took: time.Millisecond, Lag: time.Hour})
				e.write(new(text))
			}
		})
	}
	all.Wait()
	var out text
	e.write(&out)
	for _, line := range []string{
		`entsignal_sent_total{signal="A",mode="autoflush"} 8000`,
		`entsignal_send_duration_seconds_sum{signal="A",mode="autoflush"} 4`,
		`entsignal_send_duration_seconds_count{signal="A",mode="autoflush"} 4000`,
		`entsignal_lag_seconds_bucket{signal="A",mode="autoflush",le="1800"} 0`,
		`entsignal_lag_seconds_bucket{signal="A",mode="autoflush",le="7200"} 4000`,
	} {
		assert.Contains(t, out.String(), line+"\n")
	}
}

func TestRequestWaitsForTheDatabaseNoLongerThanTheScrape(t *testing.T) {
	t.Parallel()
	for seconds, want := range map[string]time.Duration{
		"": 2 * time.Second, "x": 2 * time.Second, "NaN": 2 * time.Second, "-1": 2 * time.Second, "10": 2 * time.Second, "1e300": 2 * time.Second,
		"4": 2 * time.Second, "1": 500 * time.Millisecond, "0.2": 100 * time.Millisecond,
	} {
		r := httptest.NewRequest("GET", "/metrics", nil)
		r.Header.Set("X-Prometheus-Scrape-Timeout-Seconds", seconds)
		assert.Equal(t, want, patience(r), "%q", seconds)
	}
}

// slow is a database that takes time to answer, by a clock that it moves.
type slow struct {
	now   time.Time
	takes time.Duration
	err   error
	reads int
}

func (s *slow) Signals() []entsignal.Info { return []entsignal.Info{{Name: "A"}, {Name: "B"}} }

func (s *slow) Pending(context.Context, ...entsignal.FlushOption) ([]entsignal.PendingCount, error) {
	s.reads++
	s.now = s.now.Add(s.takes)
	if s.err != nil {
		return []entsignal.PendingCount{{Name: "B", Count: 10 * s.reads}}, s.err
	}
	return []entsignal.PendingCount{{Name: "A", Count: s.reads, Dead: 1}, {Name: "B"}}, nil
}

func (s *slow) Oldest(context.Context, ...entsignal.FlushOption) ([]entsignal.Oldest, error) {
	return []entsignal.Oldest{{Signal: "A", ID: "1", Since: time.Unix(0, 0)}, {Signal: "B"}}, s.err
}

func TestDatabaseIsLeftAloneForLongerThanAReadTakes(t *testing.T) {
	t.Parallel()
	for takes, rest := range map[time.Duration]time.Duration{
		time.Millisecond: time.Second, 200 * time.Millisecond: 4 * time.Second, 2 * time.Second: 30 * time.Second,
	} {
		db := &slow{now: time.Unix(100, 0), takes: takes}
		table := newTable(db, func() time.Time { return db.now })
		for reads := 1; reads < 4; reads++ {
			table.read(t.Context())
			table.read(t.Context())
			db.now = db.now.Add(rest - 1)
			table.read(t.Context())
			assert.Equal(t, reads, db.reads, "%v", takes)
			db.now = db.now.Add(1)
		}
	}
}

// gated is a database that answers when it is told to.
type gated struct {
	reads atomic.Int64
	asked chan struct{}
	gate  chan struct{}
}

func (g *gated) Signals() []entsignal.Info { return []entsignal.Info{{Name: "A"}} }

func (g *gated) Pending(ctx context.Context, _ ...entsignal.FlushOption) ([]entsignal.PendingCount, error) {
	g.reads.Add(1)
	g.asked <- struct{}{}
	select {
	case <-g.gate:
		return []entsignal.PendingCount{{Name: "A", Count: 3}}, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (g *gated) Oldest(context.Context, ...entsignal.FlushOption) ([]entsignal.Oldest, error) {
	return nil, nil
}

func TestManyRequestsAtOnceReadTheDatabaseOnce(t *testing.T) {
	t.Parallel()
	db := &gated{asked: make(chan struct{}, 1), gate: make(chan struct{})}
	now := time.Now()
	table := newTable(db, func() time.Time { return now })
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			var out text
			table.write(&out, table.read(t.Context()))
			assert.Contains(t, out.String(), `entsignal_pending{signal="A"} 3`+"\n")
		})
	}
	<-db.asked
	close(db.gate)
	all.Wait()
	assert.EqualValues(t, 1, db.reads.Load())
}

func BenchmarkObserve(b *testing.B) {
	e := newEvents([]entsignal.Info{{Name: "A", AutoFlush: true}})
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			e.Observe(b.Context(), entsignal.Recorded{Signal: "A", Count: 1})
			e.Observe(b.Context(), entsignal.Sent{Signal: "A", Mode: entsignal.ModeAutoFlush, Count: 1, Took: time.Millisecond, Lag: time.Second})
		}
	})
}

func TestWhatCannotBeReadIsShownForAMinuteAndThenLeftOut(t *testing.T) {
	t.Parallel()
	db := &slow{now: time.Unix(100, 0)}
	table := newTable(db, func() time.Time { return db.now })
	show := func() string {
		now := table.read(t.Context())
		var out text
		table.write(&out, now)
		return out.String()
	}
	first := show()
	for _, line := range []string{
		`entsignal_pending{signal="A"} 1`, `entsignal_pending{signal="B"} 0`, `entsignal_dead{signal="A"} 1`, `entsignal_dead{signal="B"} 0`,
		`entsignal_pending_age_seconds{signal="A"} 100`, `entsignal_pending_age_seconds{signal="B"} 0`,
	} {
		assert.Contains(t, first, line+"\n")
	}
	db.err = errors.New("away")
	db.now = time.Unix(130, 0)
	then := show()
	assert.Contains(t, then, `entsignal_pending{signal="A"} 1`+"\n", "as it was")
	assert.Contains(t, then, `entsignal_pending{signal="B"} 20`+"\n", "as it is")
	assert.Contains(t, then, `entsignal_pending_age_seconds{signal="A"} 130`+"\n", "it ages")
	db.now = time.Unix(161, 0)
	last := show()
	assert.NotContains(t, last, `entsignal_pending{signal="A"}`)
	assert.Contains(t, last, `entsignal_pending{signal="B"} 30`+"\n")

	// A request that can't wait for another one gets what is known.
	table.turn <- struct{}{}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	db.now = time.Unix(200, 0)
	assert.Equal(t, db.now, table.read(ended))
	assert.Equal(t, 3, db.reads)
}

func TestHandlerNeedsABus(t *testing.T) {
	assert.PanicsWithValue(t, "signalmetrics: Handler: the bus is nil", func() { Handler(nil) })
}
