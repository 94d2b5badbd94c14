package faults

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/integration/shop/ent"
)

// sentAudits gets how many audits each batch had.
type sentAudits chan int

func (s sentAudits) Observe(_ context.Context, e entsignal.Event) {
	if e, ok := e.(entsignal.Sent); ok && e.Signal == ent.TypeAuditLogged {
		s <- e.Count
	}
}

// One type's table is locked, another's sender hangs, and the broker restarts in between.
// ENTSIGNAL_OUTAGE makes the lock last that long; then the log has the pace before and after.
func TestTypeKeepsItsPaceBesideALockedTableAHangingSenderAndARestartOfTheBroker(t *testing.T) {
	db := newDatabase(t)
	sent := make(sentAudits, 1000)
	r := newRelayOn(t, db.Driver(t), own.AMQP, entsignal.WithObserver(sent))
	var (
		release = make(chan struct{})
		hanging = make(chan struct{}, 1)
	)
	r.joined = func(context.Context, []*ent.UserJoined) error {
		select {
		case hanging <- struct{}{}:
		default:
		}
		<-release
		return errors.New("late")
	}
	r.bus.SetAutoFlush(false)
	running, end := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.bus.Run(running, entsignal.Poll(10*time.Millisecond)) }()

	number, least := 0, 200
	pace := func(until time.Time) (all []time.Duration) {
		for i := 0; i < least || time.Now().Before(until); i++ {
			number++
			began := time.Now()
			r.AuditLogged.Create().SetNumber(number).ExecX(t.Context())
			select {
			case n := <-sent:
				require.Equal(t, 1, n)
			case <-time.After(2 * time.Minute):
				require.Fail(t, "signal is not sent", "%d; the log:\n%s", number, r.log)
			}
			all = append(all, time.Since(began))
		}
		slices.Sort(all)
		return all
	}
	before := pace(time.Now())
	calm := len(r.log.Lines())

	tx, err := db.Open(t).Begin()
	require.NoError(t, err)
	defer tx.Rollback()
	_, err = tx.Exec("LOCK TABLE order_placeds IN ACCESS EXCLUSIVE MODE")
	require.NoError(t, err)
	r.UserJoined.Create().SetNumber(1).ExecX(t.Context())
	<-hanging
	beside := pace(endOfLongRun(t, 0.5))

	ctl(t, "stop_app")
	number++
	r.AuditLogged.Create().SetNumber(number).ExecX(t.Context())
	r.log.await(t, "broker or database is unavailable")
	ctl(t, "start_app")
	assert.Equal(t, 1, <-sent, "what was recorded while the broker was away")
	after := pace(endOfLongRun(t, 0.5))

	p := func(all []time.Duration, percent int) time.Duration {
		return all[len(all)*percent/100].Round(10 * time.Microsecond)
	}
	lines := r.log.Lines()[calm:]
	t.Logf("from commit to deletion, p50 and p99: alone %v, %v; beside the faults %v, %v; after the restart %v, %v; %d lines of log:\n%s",
		p(before, 50), p(before, 99), p(beside, 50), p(beside, 99), p(after, 50), p(after, 99), len(lines), strings.Join(lines, "\n"))
	for _, all := range [][]time.Duration{beside, after} {
		assert.Less(t, all[len(all)-1], flushTimeout, "only what waits for one of the others takes that long")
	}
	assert.Less(t, len(lines), 30)
	assert.NotContains(t, strings.Join(lines, "\n"), `msg="relay: works again" signal=UserJoined`, "its sender hangs")
	require.NoError(t, tx.Rollback())
	close(release)
	end()
	require.NoError(t, <-ended)
	r.assertReceived(t, number, 1)
}
