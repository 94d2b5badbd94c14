package signalweb

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
)

func TestHistoryHasTheLastHourAndNoMore(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	h := newHistory([]entsignal.Info{{Name: "A"}, {Name: "B"}}, func() time.Time { return now })
	tell := func(e entsignal.Event) { h.Observe(context.Background(), e) }
	tell(entsignal.Sent{Signal: "A", Count: 20})
	tell(entsignal.Failed{Signal: "A", Count: 10, Err: errors.New("no")})
	tell(entsignal.Sent{Signal: "Unknown", Count: 1})
	now = now.Add(time.Second)
	a := h.get("A")
	assert.InDelta(t, 2, a.sentNow, 0.001)
	assert.InDelta(t, 1, a.failedNow, 0.001)
	assert.Equal(t, 20, a.sentHour)
	assert.Equal(t, 20, a.sent[59])
	assert.EqualError(t, a.failing.err, "no")
	assert.Zero(t, h.get("B").sentHour)
	assert.Zero(t, h.get("Unknown").sentHour)

	now = now.Add(30 * time.Minute)
	tell(entsignal.Sent{Signal: "A", Count: 5})
	a = h.get("A")
	assert.Equal(t, 25, a.sentHour)
	assert.Equal(t, 20, a.sent[29])
	assert.Equal(t, 5, a.sent[59])
	assert.Zero(t, a.sentNow, "the second that runs doesn't count")
	now = now.Add(30 * time.Minute)
	assert.Equal(t, 5, h.get("A").sentHour)
	now = now.Add(100 * time.Hour)
	assert.Zero(t, h.get("A").sentHour)
	assert.Len(t, h.types, 2)
}

func TestHistoryKnowsWhatIsWrong(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	h := newHistory([]entsignal.Info{{Name: "A"}}, func() time.Time { return now })
	tell := func(e entsignal.Event) { h.Observe(context.Background(), e) }
	first := now
	tell(entsignal.Paused{Signal: "A", Err: errors.New("away")})
	tell(entsignal.Flushed{Signal: "A", Err: errors.New("one")})
	now = now.Add(time.Minute)
	tell(entsignal.Flushed{Signal: "A", Err: errors.New("two")})
	a := h.get("A")
	assert.Equal(t, trouble{first, errors.New("two")}, a.failing, "since the first, with the last error")
	assert.Equal(t, trouble{first, errors.New("away")}, a.paused)
	tell(entsignal.Sent{Signal: "A", Mode: entsignal.ModeFlushMany, Count: 1})
	assert.Error(t, h.get("A").failing.err, "others of the same flush may have failed")
	tell(entsignal.Flushed{Signal: "A"})
	tell(entsignal.Resumed{Signal: "A"})
	a = h.get("A")
	assert.Zero(t, a.failing)
	assert.Zero(t, a.paused)
	tell(entsignal.Failed{Signal: "A", Mode: entsignal.ModeAutoFlush, Err: errors.New("three")})
	assert.Error(t, h.get("A").failing.err)
	tell(entsignal.Sent{Signal: "A", Mode: entsignal.ModeAutoFlush, Count: 1})
	assert.Zero(t, h.get("A").failing)
}

func TestDatabaseIsAskedOnceForAllWhoLook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c cached[int]
		asked := 0
		get := func(takes time.Duration, err error) answered[int] {
			return c.get(t.Context(), func(ctx context.Context) (int, error) {
				asked++
				select {
				case <-time.After(takes):
					return asked, err
				case <-ctx.Done():
					return 0, ctx.Err()
				}
			})
		}
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() { assert.Equal(t, 1, get(50*time.Millisecond, nil).value) })
		}
		all.Wait()
		assert.Equal(t, 1, asked)
		time.Sleep(freshFor - time.Millisecond)
		get(0, nil)
		assert.Equal(t, 1, asked, "the answer is still fresh")
		time.Sleep(2 * time.Millisecond)
		assert.Equal(t, 2, get(500*time.Millisecond, nil).value)
		time.Sleep(restFactor*500*time.Millisecond - time.Millisecond)
		get(0, nil)
		assert.Equal(t, 2, asked, "what takes long is asked rarely")
		c.expire()
		assert.Equal(t, 3, get(0, nil).value)

		// The database is away.
		time.Sleep(freshFor)
		began := time.Now()
		a := get(time.Hour, nil)
		require.ErrorIs(t, a.err, context.DeadlineExceeded)
		assert.Equal(t, 3, a.value, "the last answer")
		assert.Equal(t, askTime, time.Since(began))
		assert.Error(t, get(0, nil).err)
		assert.Equal(t, 4, asked, "it is left alone")
		time.Sleep(failedRest)
		began = time.Now()
		get(time.Hour, nil)
		assert.Equal(t, askAgainTime, time.Since(began))
		time.Sleep(failedRest)
		a = get(0, nil)
		assert.NoError(t, a.err)
		assert.Equal(t, 6, a.value)
	})
}

func TestOldAnswerServesWhileTheDatabaseIsAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var (
			c     cached[int64]
			asked atomic.Int64
		)
		ask := func(context.Context) (int64, error) {
			time.Sleep(time.Second)
			return asked.Add(1), nil
		}
		c.get(t.Context(), ask)
		time.Sleep(time.Minute)
		var one sync.WaitGroup
		one.Go(func() { assert.EqualValues(t, 2, c.get(t.Context(), ask).value) })
		synctest.Wait()
		began := time.Now()
		assert.EqualValues(t, 1, c.get(t.Context(), ask).value)
		assert.Zero(t, time.Since(began))
		one.Wait()
	})
}

func TestManyTypesAreNotWaitedForOneAfterTheOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const types = 50
		var (
			all    [types]cached[int]
			hangs  = true
			asked  atomic.Int64
			failed int
		)
		look := func() (answers [types]answered[int]) {
			askAll(t.Context(), types, func(ctx context.Context, i int) {
				answers[i] = all[i].get(ctx, func(ctx context.Context) (int, error) {
					asked.Add(1)
					if hangs {
						<-ctx.Done()
						return 0, ctx.Err()
					}
					return i, nil
				})
			})
			return answers
		}
		began := time.Now()
		for _, a := range look() {
			if assert.Error(t, a.err) && !errors.Is(a.err, errNotAsked) {
				failed++
			}
		}
		assert.LessOrEqual(t, time.Since(began), askAllTime+askTime)
		assert.EqualValues(t, failed, asked.Load())
		assert.Less(t, failed, types)
		hangs = false
		time.Sleep(failedRest)
		for i, a := range look() {
			assert.NoError(t, a.err)
			assert.Equal(t, i, a.value)
		}
		hangs = true
		time.Sleep(failedRest)
		for i, a := range look() {
			assert.Equal(t, i, a.value, "the last answer")
		}
	})
}

func TestDriverThatPanicsIsAnErrorForAllWhoLook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c cached[int]
		for range 2 {
			var all sync.WaitGroup
			for range 3 {
				all.Go(func() {
					a := c.get(t.Context(), func(context.Context) (int, error) {
						time.Sleep(time.Millisecond)
						panic("boom")
					})
					assert.ErrorContains(t, a.err, "panic: boom")
				})
			}
			all.Wait()
			time.Sleep(failedRest)
		}
	})
}

func TestTextsShowWhatCannotBeSeen(t *testing.T) {
	assert.Equal(t, `a\u202eb\x00\n\u200b é ✓ \xff`, visible("a\u202eb\x00\n\u200b é ✓ \xff"))
	assert.Equal(t, "a\n\tb\\r", visibleText("a\n\tb\r"))
	assert.Equal(t, "10,000+", count(countLimit))
	assert.Equal(t, "10,000", count(countLimit-1))
	assert.Equal(t, "1,234,567", thousands(1234567))
	assert.Equal(t, "-1,234", thousands(-1234))
	assert.Equal(t, "999", thousands(999))
	assert.Equal(t, "3m 4s", roughly(184*time.Second))
	assert.Equal(t, "2d 1h", roughly(49*time.Hour+59*time.Minute))
	assert.Equal(t, "0s", roughly(-time.Second))
	assert.Equal(t, "0.1", perSecond(0.1))
	assert.Equal(t, "1,235", perSecond(1234.6))
	assert.Equal(t, "é…", cut("éé", 3))
}

func TestPlotDrawsWhatWasSentAndWhatFailed(t *testing.T) {
	p := newPlot(rates{SentByMinute: []int{0, 10, 5}, FailedByMinute: []int{0, 0, 5}, FailedLastHour: 5}, 30, 20)
	assert.Equal(t, "15 sent and 5 failed in the last hour; the most in a minute was 10", p.Text)
	assert.Equal(t, "M10.0 20.0V0.0h8.0V20.0zM20.0 20.0V10.0h8.0V20.0z", p.Sent)
	assert.Equal(t, "M20.0 10.0V0.0h8.0V10.0z", p.Failed)
	assert.Empty(t, newPlot(rates{SentByMinute: []int{0}, FailedByMinute: []int{0}}, 30, 20).Sent)
}

func TestHandlerNeedsABus(t *testing.T) {
	assert.PanicsWithValue(t, "signalweb: Handler: the bus is nil", func() { Handler(nil) })
}

func TestOptionsNeedTheirValues(t *testing.T) {
	assert.PanicsWithValue(t, "signalweb: Authorize: the function is nil", func() { Authorize(nil) })
	assert.PanicsWithValue(t, "signalweb: WithLogger: the logger is nil", func() { WithLogger(nil) })
}
