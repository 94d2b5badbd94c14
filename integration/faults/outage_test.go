package faults

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
)

// outage is how long the broker is down: ENTSIGNAL_OUTAGE, or a moment.
func outage(t *testing.T) time.Duration {
	t.Helper()
	text := os.Getenv("ENTSIGNAL_OUTAGE")
	if text == "" {
		return 3 * time.Second
	}
	d, err := time.ParseDuration(text)
	require.NoError(t, err, "ENTSIGNAL_OUTAGE")
	return d
}

// endOfLongRun returns until when a test repeats what it has seen once: for a part of
// ENTSIGNAL_OUTAGE, or no longer.
func endOfLongRun(t *testing.T, part float64) time.Time {
	t.Helper()
	if os.Getenv("ENTSIGNAL_OUTAGE") == "" {
		return time.Now()
	}
	return time.Now().Add(time.Duration(part * float64(outage(t))))
}

// Writers commit and a relay flushes all the while.
func TestBrokerThatIsDownUnderLoadCostsThreeLinesAndNothingElse(t *testing.T) {
	r := newRelay(t, newDatabase(t), own.AMQP)
	go func() {
		for range r.errors { // each is of one try; the log is what counts here
		}
	}()
	t.Cleanup(func() { close(r.errors) })
	c := t.Context() // ctx would keep one for each commit
	var (
		over      = make(chan struct{})
		tasks     sync.WaitGroup
		committed atomic.Int64
	)
	const writers = 4
	for range writers {
		tasks.Go(func() {
			for {
				select {
				case <-over:
					return
				case <-time.After(2 * time.Millisecond): // a load, and not all that the machine can do
				}
				if assert.NoError(t, r.OrderPlaced.Create().SetNumber(int(committed.Add(1))).Exec(c), "who records must not notice") {
					continue
				}
				return
			}
		})
	}
	tasks.Go(func() {
		for {
			select {
			case <-over:
				return
			case <-time.After(100 * time.Millisecond):
				_, _ = r.OrderPlaced.FlushMany(c, entsignal.Burst(500))
			}
		}
	})
	state := func() (goroutines int, heap uint64) {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return runtime.NumGoroutine(), m.HeapAlloc
	}
	require.Eventually(t, func() bool { return committed.Load() > 100 }, 2*time.Minute, time.Millisecond)
	goroutines, heap := state()
	before := r.log.Lines()

	ctl(t, "stop_app")
	t.Cleanup(func() { ctl(t, "start_app") })
	down := time.Now()
	r.log.await(t, "broker or database is unavailable")
	at := committed.Load()
	<-time.After(outage(t) - time.Since(down)) // the outage itself
	duringGoroutines, duringHeap := state()
	lines := r.log.Lines()[len(before):]
	assert.Greater(t, committed.Load(), at+100, "commits go on")
	t.Logf("down for %v: %d commits; goroutines %d, then %d; heap %d KiB, then %d KiB; log:\n%s", time.Since(down).Round(time.Millisecond),
		committed.Load()-at, goroutines, duringGoroutines, heap>>10, duringHeap>>10, strings.Join(lines, "\n"))
	var said []string
	for _, line := range lines {
		if !strings.Contains(line, `msg="signals sent"`) { // by a flush, before the broker went
			said = append(said, line)
		}
	}
	// The connection is lost, there is no other, signals stay pending. A broker
	// that is about to go may take one more connection, and lose it.
	assert.GreaterOrEqual(t, len(said), 3)
	assert.LessOrEqual(t, len(said), 5)
	assert.LessOrEqual(t, duringGoroutines, goroutines+10)
	assert.LessOrEqual(t, duringHeap, heap+16<<20)

	ctl(t, "start_app")
	r.log.await(t, "broker and database are available again")
	close(over)
	tasks.Wait()
	_, err := r.OrderPlaced.FlushMany(ctx(t), entsignal.Burst(500))
	require.NoError(t, err)
	assert.Zero(t, r.OrderPlaced.Query().CountX(ctx(t)))
	received := r.received(t)
	for number := range int(committed.Load()) {
		assert.Positive(t, received[fmt.Sprint("order ", number+1)], "order %d is lost", number+1)
	}
	assert.Len(t, received, int(committed.Load()), "and nothing else came")
}
