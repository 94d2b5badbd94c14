package tracing_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/integration/internal/testdb"
)

func TestObserverHearsOfEachWayToSend(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		observed := sent{make(chan entsignal.Sent, 10)}
		s := open(t, db, entsignal.WithObserver(observed), entsignal.WithAsync(10))
		next := func() string {
			select {
			case e := <-observed.events:
				return fmt.Sprint(e.Signal, " ", e.Mode, " ", e.Count)
			case <-time.After(time.Minute):
				return "nothing"
			}
		}
		record := func() { s.UserJoined.Create().SetNumber(1).ExecX(t.Context()) }
		s.OrderPlaced.Create().SetNumber(1).ExecX(t.Context())
		assert.Equal(t, "OrderPlaced autoflush 1", next(), "in the background")
		for mode, flush := range map[entsignal.Mode]func(context.Context, ...entsignal.FlushOption) (int, error){
			entsignal.ModeFlush: func(ctx context.Context, _ ...entsignal.FlushOption) (int, error) {
				return s.bus.Flush(ctx, entsignal.Wait(0))
			},
			entsignal.ModeFlushMany:    s.bus.FlushMany,
			entsignal.ModeFlushOrdered: s.bus.FlushOrdered,
			entsignal.ModeSend: func(ctx context.Context, _ ...entsignal.FlushOption) (int, error) {
				return s.UserJoined.Send(ctx, s.UserJoined.Query().AllX(ctx)...)
			},
		} {
			record()
			n, err := flush(t.Context())
			require.NoError(t, err)
			assert.Equal(t, 1, n)
			assert.Equal(t, fmt.Sprintf("UserJoined %v 1", mode), next())
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- s.bus.Run(ctx) }()
		record()
		assert.Equal(t, "UserJoined flushmany 1", next(), "by a relay")
		stop()
		require.NoError(t, <-ended)
		assert.Empty(t, observed.events)
	})
}
