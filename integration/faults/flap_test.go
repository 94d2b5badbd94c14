package faults

import (
	"context"
	"os"
	"runtime"
	"runtime/pprof"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/integration/shop/ent"
	"github.com/entsignal/signalbus/internal/faultproxy"
)

// held is what a process holds while its relay has nothing to do.
type held struct{ goroutines, files, database, broker int }

func (h held) atMost(start held) bool {
	return h.goroutines <= start.goroutines && h.files <= start.files && h.database <= start.database && h.broker <= start.broker
}

// openFiles returns how many files and sockets this process has open, where the
// system tells.
func openFiles() int {
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(all)
}

// Broker and database go away and come back, by turns, as connections that are reset
// and as networks that lose everything. Each signal arrives, and at the end the
// process holds what it held at the start. ENTSIGNAL_OUTAGE makes it take that long.
func TestRelayOfAFlappingBrokerAndDatabaseHoldsNoMoreThanAtTheStart(t *testing.T) {
	db := newDatabase(t)
	writer := ent.NewClient(ent.Driver(db.Driver(t))) // has no bus, and doesn't flap
	behind, database := db.Through(t)
	broker, url := faultproxy.ForURL(t, own.AMQP, "5672")
	r := newRelay(t, behind, url)
	running, end := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- r.bus.Run(running, entsignal.Only("AuditLogged"), entsignal.Poll(10*time.Millisecond))
	}()
	t.Cleanup(end)

	numbers := 0
	record := func() {
		numbers++
		writer.AuditLogged.Create().SetNumber(numbers).ExecX(t.Context())
	}
	sent := func() {
		t.Helper()
		require.Eventually(t, func() bool { return writer.AuditLogged.Query().CountX(t.Context()) == 0 }, 2*time.Minute, 5*time.Millisecond,
			"signal %d is not sent; the log:\n%s", numbers, r.log)
	}
	holds := func() held {
		runtime.GC() // ends what a finalizer ends
		return held{runtime.NumGoroutine(), openFiles(), database.Open(), broker.Open()}
	}
	for range 3 {
		record()
		sent()
	}
	start := holds()

	reset := func(p *faultproxy.Proxy) func() {
		return func() { p.Cut(); record() }
	}
	swallow := func(p *faultproxy.Proxy) func() {
		return func() {
			p.BlackHole(true)
			record()
			failed := r.bus.RunState().Failed
			require.Eventually(t, func() bool { return r.bus.RunState().Failed > failed }, 2*time.Minute, 5*time.Millisecond)
			p.BlackHole(false)
			p.Cut() // what was lost doesn't come again
		}
	}
	faults := []func(){reset(broker), reset(database), swallow(broker), swallow(database)}
	until := endOfLongRun(t, 1)
	n := 0
	for ; n < len(faults) || time.Now().Before(until); n++ {
		faults[n%len(faults)]()
		sent()
		assert.Empty(t, r.bus.RunState().Stuck())
	}
	last := holds() // not by require.Eventually, whose own goroutine would count
	for began := time.Now(); !last.atMost(start) && time.Since(began) < time.Minute; last = holds() {
		<-time.After(20 * time.Millisecond)
	}
	if !assert.True(t, last.atMost(start), "at the start %+v, after %d faults %+v", start, n, last) {
		assert.NoError(t, pprof.Lookup("goroutine").WriteTo(os.Stderr, 1))
	}
	t.Logf("%d faults; at the start %+v, at the end %+v", n, start, last)

	end()
	require.NoError(t, <-ended)
	r.assertReceived(t, numbers, n) // a fault may hide one confirm
}
