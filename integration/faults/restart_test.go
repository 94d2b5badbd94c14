package faults

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/integration/shop/ent"
)

// load is a relay that records and flushes all the time, whatever fails.
type load struct {
	*relay
	over      chan struct{}
	stop      func()
	tasks     sync.WaitGroup
	committed atomic.Int64
	failed    atomic.Int64 // commits
	flushes   atomic.Int64 // that sent something
	unsent    atomic.Int64 // flushes that failed
}

const loadBurst = 10

func newLoad(t *testing.T, r *relay) *load {
	t.Helper()
	l := &load{relay: r, over: make(chan struct{})}
	l.stop = sync.OnceFunc(func() { close(l.over); l.tasks.Wait() })
	t.Cleanup(l.stop)
	for w := range 2 {
		l.tasks.Go(func() {
			for i := 1; l.goOn(2 * time.Millisecond); i++ {
				if err := l.commit(10000*w + i); err != nil {
					l.failed.Add(1)
				} else {
					l.committed.Add(1)
				}
			}
		})
	}
	l.tasks.Go(func() {
		for l.goOn(5 * time.Millisecond) {
			n, err := l.AuditLogged.FlushMany(context.Background(), entsignal.Burst(loadBurst))
			if err != nil {
				l.unsent.Add(1)
			}
			if n > 0 {
				l.flushes.Add(1)
			}
		}
	})
	return l
}

// goOn waits a little. It reports false when the load is over.
func (l *load) goOn(after time.Duration) bool {
	select {
	case <-l.over:
		return false
	case <-time.After(after):
		return true
	}
}

// commit records a signal, and an order with the same number, which stays and
// so tells afterwards whether this was committed.
func (l *load) commit(number int) error {
	c, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return l.Atomic(c, func(c context.Context, tx *ent.Tx) error {
		if err := tx.Order.Create().SetNumber(number).Exec(c); err != nil {
			return err
		}
		return tx.AuditLogged.Create().SetNumber(number).Exec(c)
	}, entsignal.Retries(0))
}

// awaitProgress waits until more was committed and sent.
func (l *load) awaitProgress(t *testing.T) {
	t.Helper()
	committed, flushes := l.committed.Load(), l.flushes.Load()
	require.Eventually(t, func() bool { return l.committed.Load() > committed+50 && l.flushes.Load() > flushes+5 }, 2*time.Minute, 5*time.Millisecond)
}

// end ends the load, sends what is left, and checks that all that was committed
// arrived and nothing else, and that a fault repeated what was in hand at most.
func (l *load) end(t *testing.T) {
	t.Helper()
	l.stop()
	_, err := l.AuditLogged.FlushMany(ctx(t), entsignal.Burst(loadBurst))
	require.NoError(t, err)
	assert.Zero(t, l.pending(t))
	var want []string
	for _, order := range l.Order.Query().AllX(ctx(t)) {
		want = append(want, "audit "+strconv.Itoa(order.Number))
	}
	var got []string
	repeats := 0
	for body, times := range l.received(t) {
		got = append(got, body)
		repeats += times - 1
	}
	slices.Sort(want)
	slices.Sort(got)
	assert.Equal(t, want, got)
	const inHand = 2 * loadBurst // FlushMany sends one batch ahead
	assert.LessOrEqual(t, repeats, inHand)
	t.Logf("%d committed, %d commits and %d flushes failed, %d repeats", l.committed.Load(), l.failed.Load(), l.unsent.Load(), repeats)
}

func TestDatabaseThatComesBackIsFlushedAgain(t *testing.T) {
	t.Setenv("ENTSIGNAL_TEST_POSTGRES", own.Postgres)
	for name, end := range map[string]func(string) error{"restarted": own.Down, "crashed": own.Kill} {
		t.Run(name, func(t *testing.T) {
			l := newLoad(t, newRelay(t, newDatabase(t), own.AMQP))
			l.awaitProgress(t)
			require.NoError(t, end("postgres"))
			require.Eventually(t, func() bool { return l.failed.Load() > 0 && l.unsent.Load() > 0 }, 2*time.Minute, time.Millisecond, "nobody noticed")
			// What a crash leaves behind may use the data for another moment.
			var err error
			require.Eventually(t, func() bool { err = own.Up("postgres"); return err == nil }, 2*time.Minute, 100*time.Millisecond, func() string { return fmt.Sprint(err) })
			l.awaitProgress(t)
			l.end(t)
		})
	}
}

func TestKilledBrokerKeepsWhatItHasConfirmed(t *testing.T) {
	l := newLoad(t, newRelay(t, newDatabase(t), own.AMQP))
	l.awaitProgress(t)
	require.NoError(t, own.Kill("rabbitmq"))
	require.Eventually(t, func() bool { return l.unsent.Load() > 0 }, 2*time.Minute, time.Millisecond, "nobody noticed")
	require.NoError(t, own.Up("rabbitmq"))
	l.awaitProgress(t)
	assert.Zero(t, l.failed.Load(), "who records must not notice")
	l.end(t)
}
