package order_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"entgo.io/ent/dialect/sql"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/integration/internal/testdb"
	"github.com/entsignal/signalbus/integration/order/ent"
	"github.com/entsignal/signalbus/integration/order/ent/carddrawn"
	"github.com/entsignal/signalbus/integration/order/ent/taskranked"
	"github.com/entsignal/signalbus/internal/testlog"
)

// What the flush has to keep is the order that the database gives itself.
func TestOrderHoldsFromBatchToBatch(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		const rows = 90
		var to arrivals
		p := open(t, db, &to)
		began := time.Date(2026, 10, 25, 0, 59, 0, 123456000, time.UTC)
		titles := []string{"", "a", "A", "a b", "\u00e9", "z' \\ %"}
		pick := func(n int) int { return rand.IntN(n) }
		for _, burst := range []int{1, 2, 7, 1000} {
			p.TaskRanked.MapCreateBulk(make([]struct{}, rows), func(c *ent.TaskRankedCreate, _ int) {
				c.SetLevel([]taskranked.Level{taskranked.LevelLow, taskranked.LevelHigh, taskranked.LevelExtreme}[pick(3)])
				c.SetAt(began.Add(time.Duration(pick(3)) * time.Hour)).SetScore(float64(pick(3)) / 3)
				c.SetTitle(titles[pick(len(titles))]).SetUrgent(pick(2) == 0)
			}).ExecX(ctx(t))
			want := p.TaskRanked.Query().Order(
				taskranked.ByLevel(), taskranked.ByAt(sql.OrderDesc()), taskranked.ByScore(), taskranked.ByTitle(sql.OrderDesc()), taskranked.ByUrgent(), taskranked.ByID(),
			).IDsX(ctx(t))
			_, err := p.TaskRanked.FlushOrdered(ctx(t), entsignal.Burst(burst))
			require.NoError(t, err)
			assert.Equal(t, want, to.take(), "burst %d", burst)

			p.CardDrawn.MapCreateBulk(make([]struct{}, rows), func(c *ent.CardDrawnCreate, _ int) {
				c.SetSuit(titles[pick(len(titles))]).SetNumber(pick(4))
			}).ExecX(ctx(t))
			want = p.CardDrawn.Query().Order(
				carddrawn.BySuit(sql.OrderDesc()), carddrawn.ByNumber(sql.OrderDesc()), carddrawn.ByID(sql.OrderDesc()),
			).IDsX(ctx(t))
			_, err = p.CardDrawn.FlushOrdered(ctx(t), entsignal.Burst(burst))
			require.NoError(t, err)
			assert.Equal(t, want, to.take(), "burst %d", burst)
		}
	})
}

// take returns the numbers that arrived since the last call.
func (a *arrivals) take() (numbers []int) {
	numbers = a.of(nil)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.all = nil
	return numbers
}

// A flush that has passed a place finds what is committed there.
func TestSignalThatBelongsBeforeWhatWasSentIsNotForgotten(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		var to arrivals
		p := open(t, db, &to)
		job := func(priority int) { p.JobQueued.Create().SetPriority(priority).ExecX(ctx(t)) }
		for priority := range 10 {
			job(priority)
		}
		again := sync.OnceFunc(func() { job(5) }) // behind the one that is sent, by its id
		to.before = func(_ any, priority int) error {
			switch priority {
			case 8:
				job(100)
			case 5:
				again()
			}
			return nil
		}
		for range 2 { // as many as were pending at the call, each time
			_, err := p.JobQueued.FlushOrdered(ctx(t), entsignal.Burst(2))
			require.NoError(t, err)
		}
		sent := to.of(nil)
		late := slices.Index(sent, 100)
		require.GreaterOrEqual(t, late, 0, "%v", sent)
		rest := slices.Delete(slices.Clone(sent), late, late+1)
		assert.ElementsMatch(t, []int{9, 8, 7, 6, 5, 5, 4, 3, 2, 1, 0}, rest)
		assert.Equal(t, []int{9, 8, 7, 6, 4, 3, 2, 1, 0}, slices.DeleteFunc(rest, func(n int) bool { return n == 5 }), "%v", sent)
	})
}

func TestTableWithoutAnIndexOfItsOrderIsToldWithTheCure(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		var (
			to  arrivals
			log testlog.Log
		)
		p := open(t, db, &to, entsignal.WithLogger(log.Logger()))
		missing := func(name string) string {
			checks, err := p.bus.CheckOrder(ctx(t), entsignal.Only(name))
			require.NoError(t, err)
			return checks[0].MissingIndex
		}
		for _, name := range []string{"AccountMoved", "DocumentChanged", "LevelReached", "TaskRanked", "CardDrawn", "DoorOpened"} {
			assert.Empty(t, missing(name), name)
		}
		assert.Contains(t, missing("NameGreeted"), "CREATE INDEX ")

		const warning = "no index serves the order"
		pool := db.Open(t)
		thousand := "INSERT INTO job_queueds (priority) VALUES (1)" + strings.Repeat(", (2)", 999)
		jobs := func(n int) {
			t.Helper()
			for range n / 1000 {
				_, err := pool.Exec(thousand)
				require.NoError(t, err)
			}
		}
		jobs(2000)
		_, err := p.JobQueued.FlushOrdered(ctx(t))
		require.NoError(t, err)
		assert.Zero(t, log.Count(warning), "a small table is sorted soon")
		for range 2 {
			jobs(10_000)
			n, err := p.JobQueued.FlushOrdered(ctx(t))
			require.NoError(t, err)
			assert.Equal(t, 10_000, n)
		}
		cure := missing("JobQueued")
		assert.Equal(t, 1, log.Count(warning), log.String())
		assert.Contains(t, strings.ReplaceAll(log.String(), `\"`, `"`), cure)
		_, err = pool.Exec(cure)
		require.NoError(t, err)
		assert.Empty(t, missing("JobQueued"))
	})
}
