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

		w.badges.Before(nil)
		n, err = w.bus.Retry(ctx(t), "BadgeGiven", id)
		require.NoError(t, err)
		require.Equal(t, 1, n)
		_, err = w.BadgeGiven.Flush(ctx(t), entsignal.Wait(0))
		require.NoError(t, err)
		assert.Equal(t, []string{"sent BadgeGiven flush 1", "flushed BadgeGiven flush 1: false"}, h.take())

		_, err = w.bus.FlushOrdered(ctx(t))
		require.NoError(t, err)
		told := h.take()
		assert.Len(t, told, 6, "one for each type")
		assert.True(t, slices.IsSorted(told), "in the order of their names: %v", told)
	})
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
