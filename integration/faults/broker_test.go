package faults

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/entsignal/rabbitmq"
)

func TestAlarmHoldsSignalsBackAndLosesNone(t *testing.T) {
	words := strings.Fields
	for name, a := range map[string]struct{ alarm, calm []string }{
		"memory": {words("set_vm_memory_high_watermark 0.0000001"), words("set_vm_memory_high_watermark absolute 1GB")},
		"disk":   {words("set_disk_free_limit 100000GB"), words("set_disk_free_limit 50MB")},
	} {
		t.Run(name, func(t *testing.T) { testAlarm(t, a.alarm, a.calm) })
	}
}

// testAlarm flushes while an alarm is on, and after it. Both are commands of
// rabbitmqctl.
func testAlarm(t *testing.T, alarm, calm []string) {
	r := newRelay(t, newDatabase(t), own.AMQP)
	r.audit(t, 1, 1)
	_, err := r.AuditLogged.FlushMany(ctx(t))
	require.NoError(t, err)

	t.Cleanup(func() { ctl(t, calm...) })
	ctl(t, alarm...)
	const rows, times = 500, 5
	r.audit(t, 2, rows)
	// The broker says that it is blocked only when the next message comes, and
	// a connection may hear of the alarm a little later than its operator.
	n, err := r.AuditLogged.FlushMany(ctx(t), entsignal.Burst(1))
	require.ErrorContains(t, err, "connection blocked")
	assert.True(t, entsignal.IsUnavailable(err))
	left := rows - 1 - n
	assert.Equal(t, left, r.pending(t))

	var orders []string
	for i := range times {
		_, err = r.AuditLogged.FlushMany(ctx(t), entsignal.Burst(1))
		require.ErrorContains(t, err, "connection blocked", "a broker that is known to be blocked is not waited for")
		assert.True(t, entsignal.IsUnavailable(err))
		require.NoError(t, r.OrderPlaced.Create().SetNumber(i).Exec(ctx(t)), "who records must not notice")
		orders = append(orders, fmt.Sprint("order ", i))
	}
	failures := r.failures()
	require.NotEmpty(t, failures)
	for _, err := range failures {
		assert.ErrorContains(t, err, "connection blocked")
	}
	assert.Equal(t, 1, r.log.Count("rabbitmq: connection blocked"), "logged once")
	assert.Equal(t, 1, r.log.Count("rabbitmq: connected"))

	ctl(t, calm...)
	r.log.await(t, "rabbitmq: connection unblocked")
	n, err = r.bus.FlushMany(ctx(t), entsignal.Only("AuditLogged", "OrderPlaced"), entsignal.Burst(100))
	require.NoError(t, err)
	assert.Equal(t, left+times, n)
	// Only what was on its way when the alarm came: one, and one sent ahead.
	r.assertReceived(t, rows, 2, orders...)
}

func TestConnectionsThatTheOperatorClosesAreReplaced(t *testing.T) {
	r := newRelay(t, newDatabase(t), own.AMQP)
	const burst = 10
	flush := func(n int) int {
		r.audit(t, n+1, n+burst)
		_, err := r.AuditLogged.FlushMany(ctx(t), entsignal.Burst(burst))
		if err != nil {
			assert.True(t, entsignal.IsUnavailable(err), "%v", err)
		}
		return n + burst
	}
	n := flush(0)
	closed := make(chan error, 1)
	go func() {
		_, err := own.RabbitMQCtl("close_all_connections", "maintenance")
		closed <- err
	}()
	for over := false; !over; n = flush(n) {
		select {
		case err := <-closed:
			require.NoError(t, err)
			over = true
		default:
		}
	}
	r.log.await(t, "connection lost")
	_, err := r.AuditLogged.FlushMany(ctx(t), entsignal.Burst(burst))
	require.NoError(t, err)
	assert.Zero(t, r.pending(t))
	assert.Contains(t, r.log.String(), "CONNECTION_FORCED")
	assert.Contains(t, r.log.String(), "maintenance")
	assert.Equal(t, 2, r.log.Count("rabbitmq: connected"))
	r.assertReceived(t, n, burst)
}

// A stopped process is what a broker on a machine that hangs looks like: its
// connections stay open, new ones are accepted by the kernel, and nobody
// answers.
func TestBrokerThatHangsEndsNoWaitLateAndLosesNothing(t *testing.T) {
	r := newRelay(t, newDatabase(t), own.AMQP)
	r.audit(t, 1, 1)
	_, err := r.AuditLogged.FlushMany(ctx(t))
	require.NoError(t, err)

	t.Cleanup(func() { assert.NoError(t, own.SignalRabbitMQ(syscall.SIGCONT)) })
	require.NoError(t, own.SignalRabbitMQ(syscall.SIGSTOP))
	const burst = 10
	r.audit(t, 2, 101)
	fails := func(says string) {
		t.Helper()
		started := time.Now()
		n, err := r.AuditLogged.FlushMany(ctx(t), entsignal.Burst(burst))
		require.Error(t, err)
		require.Regexp(t, says, err.Error())
		assert.True(t, entsignal.IsUnavailable(err))
		assert.Zero(t, n)
		assert.Less(t, time.Since(started), 100/burst*brokerAnswer, "not each batch waits for it")
	}
	// A second batch that is sent ahead asks for a channel of its own; whether
	// that or the confirm is missed first is open.
	fails(fmt.Sprintf("no confirm within %s|connection lost before the confirm", brokerAnswer))
	r.log.await(t, "no answer from the broker, closing the connection")
	fails(fmt.Sprintf("connect: no answer within %s", brokerAnswer))
	require.NoError(t, r.OrderPlaced.Create().SetNumber(1).Exec(ctx(t)), "who records must not notice")
	assert.NotEmpty(t, r.failures())
	assert.Equal(t, 100, r.pending(t))

	require.NoError(t, own.SignalRabbitMQ(syscall.SIGCONT))
	require.Eventually(t, func() bool {
		_, err := r.bus.FlushMany(ctx(t), entsignal.Only("AuditLogged", "OrderPlaced"), entsignal.Burst(burst))
		return err == nil
	}, 2*time.Minute, 50*time.Millisecond)
	assert.Zero(t, r.pending(t))
	r.assertReceived(t, 101, 2*burst, "order 1")
}

// The broker's own limit may be below that of the publisher. It speaks only
// when it has the whole body, and closes the channel.
func TestMessageThatIsTooLargeForTheBrokerStaysAlone(t *testing.T) {
	limit := func(bytes int) {
		ctl(t, "eval", fmt.Sprintf("application:set_env(rabbit, max_message_size, %d).", bytes))
	}
	limit(1 << 20)
	t.Cleanup(func() { limit(128 << 20) })
	r := newRelay(t, newDatabase(t), own.AMQP)
	const large = 4
	r.message = func(number int, m *rabbitmq.Message) {
		if number == large {
			m.Body = make([]byte, 2<<20)
		}
	}
	r.audit(t, 1, 6)
	n, err := r.AuditLogged.FlushMany(ctx(t), entsignal.Burst(6))
	require.ErrorContains(t, err, "larger than configured max size")
	assert.True(t, entsignal.IsPermanent(err))
	assert.Equal(t, 5, n)
	assert.Equal(t, large, r.AuditLogged.Query().OnlyX(ctx(t)).Number)
	assert.Equal(t, 1, r.log.Count("rabbitmq: connected"), "the connection survives")

	r.message = func(int, *rabbitmq.Message) {}
	_, err = r.AuditLogged.FlushMany(ctx(t))
	require.NoError(t, err, "mended")
	r.assertReceived(t, 6, 5) // the error on the channel says nothing about the others
}
