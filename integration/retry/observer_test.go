package retry_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/entsignal/signalmetrics"
	"github.com/entsignal/signalbus/integration/internal/promtest"
	"github.com/entsignal/signalbus/integration/internal/testdb"
	"github.com/entsignal/signalbus/integration/retry/ent"
	"github.com/entsignal/signalbus/integration/retry/ent/badgegiven"
)

// history keeps what an observer is told, without times.
type history struct {
	t  testing.TB
	mu sync.Mutex
	// told is guarded by mu.
	told []string
}

func (h *history) Observe(ctx context.Context, e entsignal.Event) {
	assert.NoError(h.t, ctx.Err())
	h.mu.Lock()
	defer h.mu.Unlock()
	switch e := e.(type) {
	case entsignal.Recorded:
		h.told = append(h.told, fmt.Sprintf("recorded %s %d", e.Signal, e.Count))
	case entsignal.Sent:
		assert.Positive(h.t, e.Took)
		h.told = append(h.told, fmt.Sprintf("sent %s %v %d", e.Signal, e.Mode, e.Count))
	case entsignal.Failed:
		h.told = append(h.told, fmt.Sprintf("failed %s %v %d: unavailable %v, poison %v", e.Signal, e.Mode, e.Count, entsignal.IsUnavailable(e.Err), errors.Is(e.Err, errPoison)))
	case entsignal.Dead:
		h.told = append(h.told, fmt.Sprintf("dead %s %v: poison %v", e.Signal, e.IDs, errors.Is(e.Err, errPoison)))
	case entsignal.Flushed:
		h.told = append(h.told, fmt.Sprintf("flushed %s %v %d: %v", e.Signal, e.Mode, e.Sent, e.Err != nil))
	case entsignal.Paused:
		assert.Error(h.t, e.Err)
		h.told = append(h.told, "paused "+e.Signal)
	case entsignal.Resumed:
		assert.Positive(h.t, e.After)
		h.told = append(h.told, "resumed "+e.Signal)
	default:
		assert.Failf(h.t, "unknown event", "%T", e)
	}
}

// take returns what was told since the last call.
func (h *history) take() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	told := h.told
	h.told = nil
	return told
}

func TestObserverIsToldTheHistoryOfABus(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		h := &history{t: t}
		panics := entsignal.WithObserver(panicking{})
		w := open(t, db, panics, entsignal.WithObserver(h))
		metrics := signalmetrics.Handler(w.bus)
		atFirst := promtest.Scrape(t, metrics)
		now := func() promtest.Samples { return promtest.Scrape(t, signalmetrics.Handler(w.bus)) } // of what is pending; it doesn't wait for its rest
		commit := func(n int, roll error) {
			err := w.Atomic(ctx(t), func(c context.Context, tx *ent.Tx) error {
				tx.MailWanted.MapCreateBulk(make([]struct{}, n), func(c *ent.MailWantedCreate, i int) { c.SetNumber(i) }).ExecX(c)
				return roll
			})
			require.ErrorIs(t, err, roll)
		}
		commit(3, nil)
		assert.Equal(t, []string{"recorded MailWanted 3", "sent MailWanted autoflush 3"}, h.take())
		commit(1, errors.New("rolled back"))
		assert.Empty(t, h.take())

		w.mails.Before(func(context.Context, []*ent.MailWanted) error { return errAway })
		commit(2, nil)
		assert.Equal(t, []string{"recorded MailWanted 2", "paused MailWanted", "failed MailWanted autoflush 2: unavailable true, poison false"}, h.take())
		assert.Equal(t, promtest.Samples{`entsignal_paused{signal="MailWanted"}`: 1}, promtest.Scrape(t, metrics).Of("entsignal_paused"))
		assert.Equal(t, promtest.Samples{`entsignal_pending{signal="MailWanted"}`: 2}, now().Of("entsignal_pending"))
		w.mails.Before(nil)
		n, err := w.MailWanted.FlushMany(ctx(t), entsignal.Burst(10))
		require.NoError(t, err)
		require.Equal(t, 2, n)
		// The first batch after an outage has one row.
		assert.Equal(t, []string{"resumed MailWanted", "sent MailWanted flushmany 1", "sent MailWanted flushmany 1", "flushed MailWanted flushmany 2: false"}, h.take())

		w.BadgeGiven.MapCreateBulk(make([]struct{}, 3), func(c *ent.BadgeGivenCreate, i int) { c.SetNumber(i) }).ExecX(ctx(t))
		h.take()
		w.badges.Before(failing(func(b *ent.BadgeGiven) int { return b.Number }, errPoison, 1))
		id := fmt.Sprint(w.BadgeGiven.Query().Where(badgegiven.Number(1)).OnlyX(ctx(t)).ID)
		n, err = w.BadgeGiven.FlushMany(ctx(t), entsignal.Burst(10))
		require.ErrorIs(t, err, errPoison)
		require.Equal(t, 2, n)
		assert.Equal(t, []string{
			"sent BadgeGiven flushmany 2", "failed BadgeGiven flushmany 1: unavailable false, poison true",
			"dead BadgeGiven [" + id + "]: poison true", "flushed BadgeGiven flushmany 2: true",
		}, h.take())

		assert.Equal(t, promtest.Samples{`entsignal_pending{signal="BadgeGiven"}`: 1}, now().Of("entsignal_pending"))
		assert.Equal(t, promtest.Samples{`entsignal_dead{signal="BadgeGiven"}`: 1}, now().Of("entsignal_dead"))
		w.badges.Before(nil)
		n, err = w.bus.Retry(ctx(t), "BadgeGiven", id)
		require.NoError(t, err)
		require.Equal(t, 1, n)
		_, err = w.BadgeGiven.Flush(ctx(t), entsignal.Wait(0))
		require.NoError(t, err)
		assert.Equal(t, []string{"sent BadgeGiven flush 1", "flushed BadgeGiven flush 1: false"}, h.take())

		w.queue(t, 1)
		w.jobs.Before(func(context.Context, []*ent.JobQueued) error { return errPoison })
		_, err = w.JobQueued.FlushMany(ctx(t))
		require.ErrorIs(t, err, errPoison)
		assert.Equal(t, []string{"failed JobQueued flushmany 1: unavailable false, poison true", "flushed JobQueued flushmany 0: true"}, h.take())
		refused := now()
		assert.Equal(t, promtest.Samples{`entsignal_pending{signal="JobQueued"}`: 1}, refused.Of("entsignal_pending"))
		assert.Empty(t, refused.Of("entsignal_dead"))
		n, err = w.bus.Discard(ctx(t), "JobQueued", w.failed(t, "JobQueued")[0].ID)
		require.NoError(t, err)
		require.Equal(t, 1, n)
		assert.Empty(t, h.take())
		assert.Empty(t, now().Of("entsignal_pending"))

		_, err = w.bus.FlushOrdered(ctx(t))
		require.NoError(t, err)
		told := h.take()
		assert.Len(t, told, 6, "one for each type")
		assert.True(t, slices.IsSorted(told), "in the order of their names: %v", told)
		checkMetrics(t, atFirst, promtest.Scrape(t, metrics))
	})
}

// checkMetrics checks the metrics before and after the history above.
func checkMetrics(t *testing.T, atFirst, atLast promtest.Samples) {
	t.Helper()
	for name, want := range map[string]promtest.Samples{
		"entsignal_recorded_total": {`entsignal_recorded_total{signal="MailWanted"}`: 5, `entsignal_recorded_total{signal="BadgeGiven"}`: 3},
		"entsignal_sent_total": {
			`entsignal_sent_total{signal="MailWanted",mode="autoflush"}`: 3,
			`entsignal_sent_total{signal="MailWanted",mode="flushmany"}`: 2,
			`entsignal_sent_total{signal="BadgeGiven",mode="flushmany"}`: 2,
			`entsignal_sent_total{signal="BadgeGiven",mode="flush"}`:     1,
		},
		"entsignal_failed_total": {
			`entsignal_failed_total{signal="MailWanted",error_type="unavailable"}`: 2,
			`entsignal_failed_total{signal="BadgeGiven",error_type="refused"}`:     1,
			`entsignal_failed_total{signal="JobQueued",error_type="refused"}`:      1,
		},
		"entsignal_paused": {},
		"entsignal_send_duration_seconds_count": {
			`entsignal_send_duration_seconds_count{signal="MailWanted",mode="autoflush"}`: 1,
			`entsignal_send_duration_seconds_count{signal="MailWanted",mode="flushmany"}`: 2,
			`entsignal_send_duration_seconds_count{signal="BadgeGiven",mode="flushmany"}`: 1,
			`entsignal_send_duration_seconds_count{signal="BadgeGiven",mode="flush"}`:     1,
		},
		"entsignal_flush_duration_seconds_count": {
			`entsignal_flush_duration_seconds_count{signal="MailWanted",mode="flushmany"}`:    1,
			`entsignal_flush_duration_seconds_count{signal="BadgeGiven",mode="flushmany"}`:    1,
			`entsignal_flush_duration_seconds_count{signal="BadgeGiven",mode="flush"}`:        1,
			`entsignal_flush_duration_seconds_count{signal="JobQueued",mode="flushmany"}`:     1,
			`entsignal_flush_duration_seconds_count{signal="BadgeGiven",mode="flushordered"}`: 1,
			`entsignal_flush_duration_seconds_count{signal="JobQueued",mode="flushordered"}`:  1,
			`entsignal_flush_duration_seconds_count{signal="LineMoved",mode="flushordered"}`:  1,
			`entsignal_flush_duration_seconds_count{signal="MailWanted",mode="flushordered"}`: 1,
			`entsignal_flush_duration_seconds_count{signal="NoteTaken",mode="flushordered"}`:  1,
			`entsignal_flush_duration_seconds_count{signal="StepDone",mode="flushordered"}`:   1,
		},
		"entsignal_lag_seconds_count": {}, // there is no mixin.Trace
	} {
		assert.Equal(t, want, atLast.Of(name))
		assert.Empty(t, atFirst.Of(name), "before the history")
	}

	for series := range atLast {
		if _, ok := atFirst[series]; !ok {
			assert.Regexp(t, `mode="(flush|flushordered)"`, series, "only the histograms of unusual modes begin later")
		}
	}
}

func TestObserverIsAddedToABusAndRemoved(t *testing.T) {
	t.Parallel()
	db := testdb.New(t, testdb.SQLite)
	first, second := &history{t: t}, &history{t: t}
	w := open(t, db)
	w.mails.Before(nil)
	record := func() { w.MailWanted.Create().SetNumber(1).ExecX(ctx(t)) }
	record()
	removeFirst := w.bus.AddObserver(first)
	removeSecond := w.bus.AddObserver(second)
	record()
	removeFirst()
	removeFirst()
	record()
	removeSecond()
	record()
	each := []string{"recorded MailWanted 1", "sent MailWanted autoflush 1"}
	assert.Equal(t, each, first.take())
	assert.Equal(t, slices.Concat(each, each), second.take())
	assert.PanicsWithValue(t, "entsignal: AddObserver: the observer is nil", func() { w.bus.AddObserver(nil) })
	(&entsignal.Bus{}).AddObserver(first)()
}

// panicking is an observer that is no good.
type panicking struct{}

func (panicking) Observe(context.Context, entsignal.Event) { panic("observer") }
