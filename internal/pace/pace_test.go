package pace

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
)

// without has no chance in it, and most as much as can be.
func without() *Pace { return &Pace{Random: func() float64 { return 0 }} }
func most() *Pace    { return &Pace{Random: func() float64 { return 1 }} }

var polling, awaited = Limits{100 * time.Millisecond, time.Second}, Limits{time.Second, 30 * time.Second}

const ms = time.Millisecond

func longest(p *Pace, l Limits, outcomes ...Outcome) (all []time.Duration) {
	for _, o := range outcomes {
		all = append(all, p.After(o, false, l).Longest)
	}
	return all
}

func TestEmptyPassesDoubleTheRestUpToTheLongest(t *testing.T) {
	assert.Equal(t, []time.Duration{100 * ms, 200 * ms, 400 * ms, 800 * ms, time.Second, time.Second},
		longest(without(), polling, Empty, Empty, Empty, Empty, Empty, Empty))
	assert.Equal(t, []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 16 * time.Second, 30 * time.Second},
		longest(without(), awaited, Empty, Empty, Empty, Empty, Empty, Empty))
	assert.Equal(t, []time.Duration{20 * ms, 20 * ms}, longest(without(), Limits{100 * ms, 20 * ms}, Empty, Empty), "the longest holds")
}

func TestPassThatFoundRowsMakesTheRestShortAgain(t *testing.T) {
	assert.Equal(t, []time.Duration{100 * ms, 200 * ms, 0, 100 * ms, 100 * ms, 100 * ms, 200 * ms},
		longest(without(), polling, Empty, Empty, Full, Some, Some, Empty, Empty))
}

func TestRestsOfProcessesComeApart(t *testing.T) {
	assert.Equal(t, 80*ms, most().After(Empty, false, polling).Longest)
	assert.Equal(t, 250*ms, most().After(Away, false, polling).Longest)
	assert.Equal(t, 400*ms, most().After(Failed, false, polling).Longest)
}

func TestWakeUpMakesTheRestShortAgainButNotThatOfAWayThatIsBlocked(t *testing.T) {
	p := without()
	longest(p, polling, Empty, Empty, Empty)
	assert.Equal(t, 100*ms, p.After(Empty, true, polling).Longest)
	longest(p, polling, Away, Away)
	assert.Equal(t, Rest{2 * time.Second, 2 * time.Second}, p.After(Away, true, polling))
}

func TestWayThatIsBlockedIsTriedLessAndLessOften(t *testing.T) {
	p := without()
	assert.Equal(t, []time.Duration{500 * ms, time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 16 * time.Second, 30 * time.Second, 30 * time.Second},
		longest(p, polling, Away, Away, Away, Away, Away, Away, Away, Away))
	assert.Equal(t, []time.Duration{100 * ms, 500 * ms}, longest(p, polling, Some, Away), "and at once again after it was free")
}

// A signal that fails must not make the healthy ones behind it wait.
func TestFailedSignalsDelayTheHealthyOnesByNoMoreThanAPoll(t *testing.T) {
	p := without()
	for _, rest := range []Rest{{500 * ms, 500 * ms}, {500 * ms, time.Second}, {500 * ms, time.Second}} {
		assert.Equal(t, rest, p.After(Failed, false, polling))
	}
	p = without()
	longest(p, awaited, Failed, Failed, Failed)
	assert.Equal(t, Rest{500 * ms, 4 * time.Second}, p.After(Failed, false, awaited), "a wake-up ends it")
	assert.Equal(t, []time.Duration{20 * ms, 40 * ms, 80 * ms}, longest(without(), Limits{20 * ms, 20 * ms}, Failed, Failed, Failed), "a short poll is the first rest")
}

func TestTurnOfAnotherIsAskedForEachSecondHoweverLongThePoll(t *testing.T) {
	assert.Equal(t, []time.Duration{100 * ms, 200 * ms, 400 * ms, 800 * ms, time.Second, time.Second},
		longest(without(), awaited, Busy, Busy, Busy, Busy, Busy, Busy))
}

func TestWaitIsOverWhenItIsTime(t *testing.T) {
	wait := func(r Rest, wakeAfter, endAfter time.Duration) (woken bool, took time.Duration) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), endAfter)
			defer cancel()
			wake := make(chan struct{}, 1)
			timer := time.AfterFunc(wakeAfter, func() { wake <- struct{}{} })
			defer timer.Stop()
			began := time.Now()
			woken = r.Wait(ctx, wake)
			took = time.Since(began)
		})
		return woken, took
	}
	for name, c := range map[string]struct {
		rest           Rest
		wakeAt, endAt  time.Duration
		woken          bool
		tookInTheWhole time.Duration
	}{
		"nothing happens":                   {Rest{0, time.Second}, time.Hour, time.Hour, false, time.Second},
		"woken":                             {Rest{0, time.Second}, 300 * ms, time.Hour, true, 300 * ms},
		"woken in the fixed part":           {Rest{500 * ms, time.Second}, 300 * ms, time.Hour, true, 500 * ms},
		"woken behind the fixed part":       {Rest{500 * ms, time.Second}, 700 * ms, time.Hour, true, 700 * ms},
		"fixed as a whole, and woken in it": {Rest{time.Second, time.Second}, 300 * ms, time.Hour, true, time.Second},
		"the context ends":                  {Rest{0, time.Second}, time.Hour, 200 * ms, false, 200 * ms},
		"the context ends in the fixed":     {Rest{500 * ms, time.Second}, 100 * ms, 200 * ms, false, 200 * ms},
	} {
		t.Run(name, func(t *testing.T) {
			woken, took := wait(c.rest, c.wakeAt, c.endAt)
			assert.Equal(t, c.woken, woken)
			assert.Equal(t, c.tookInTheWhole, took)
		})
	}
}
