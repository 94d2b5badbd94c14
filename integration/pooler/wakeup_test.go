package pooler

import (
	"context"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/entsignal/pqconn"
	"github.com/entsignal/signalbus/integration/internal/testdb"
	shop "github.com/entsignal/signalbus/integration/shop/ent"
	"github.com/entsignal/signalbus/internal/testlog"
)

// LISTEN through the pooler gives no error, and no notification.
func TestRelayNoticesThatItCannotBeWokenThroughAPoolerAndPolls(t *testing.T) {
	t.Parallel()
	db := testdb.New(t, testdb.PostgreSQL)
	pooled, err := bouncer.Through(db.DSN)
	require.NoError(t, err)
	wakeUp, err := pqconn.NewWakeUp(pooled)
	require.NoError(t, err)
	defer wakeUp.Close()
	var log testlog.Log
	sent := make(chan int, 10)
	bus, err := shop.NewSignalBus(shop.SignalSenders{
		AuditLogged: entsignal.Each(func(_ context.Context, s *shop.AuditLogged) error { sent <- s.Number; return nil }),
	}, entsignal.WithMissingSenders(), entsignal.WithLogger(log.Logger()), entsignal.WithWakeUp(wakeUp))
	require.NoError(t, err)
	client := shop.NewClient(shop.Driver(db.Driver(t)), shop.WithSignalBus(bus))
	db.CreateTables(t, func(w io.Writer) error { return client.Schema.WriteTo(ctx(t), w) })
	running, stop := context.WithCancel(ctx(t))
	ended := make(chan error, 1)
	began := time.Now()
	go func() { ended <- bus.Run(running) }()
	require.Eventually(t, func() bool { return log.Count("the wake-up does not work, polling instead") == 1 }, 30*time.Second, time.Millisecond)
	t.Logf("noticed after %v", time.Since(began))
	assert.Contains(t, log.String(), "PgBouncer")
	state := bus.RunState().WakeUp
	assert.False(t, state.Proven)
	require.ErrorContains(t, state.Err, "does not arrive")
	shop.NewClient(shop.Driver(db.Driver(t))).AuditLogged.Create().SetNumber(7).ExecX(ctx(t))
	assert.Equal(t, 7, <-sent)
	stop()
	require.NoError(t, <-ended)
	require.NoError(t, bus.Close(ctx(t)))
}
