package inbox

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
)

func TestDeliveriesOfAMessageEnterOneAfterTheOther(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var (
			g       Gate
			in      = Inbox{Name: "Received", Table: "receiveds"}
			key     = entsignal.MessageKey{Source: "shop", ID: "1"}
			entered int
		)
		leave, err := g.Enter(t.Context(), in, key)
		require.NoError(t, err)
		for range 3 {
			go func() {
				leave, err := g.Enter(t.Context(), in, key)
				assert.NoError(t, err)
				entered++
				leave()
			}()
		}
		synctest.Wait()
		assert.Zero(t, entered)

		for _, other := range []struct {
			in  Inbox
			key entsignal.MessageKey
		}{
			{in, entsignal.MessageKey{Source: "shop", ID: "2"}},
			{in, entsignal.MessageKey{Source: "bank", ID: "1"}},
			{Inbox{Table: "seens"}, key},
			{Inbox{Schema: "other", Table: "receiveds"}, key},
		} {
			leave, err := g.Enter(t.Context(), other.in, other.key)
			require.NoError(t, err)
			leave()
		}

		leave()
		synctest.Wait()
		assert.Equal(t, 3, entered)
		assert.Empty(t, g.busy)
	})
}

func TestDeliveryThatWaitsForAnotherEndsWithItsContext(t *testing.T) {
	t.Parallel()
	var g Gate
	in, key := Inbox{Name: "Received"}, entsignal.MessageKey{Source: "shop", ID: "1"}
	leave, err := g.Enter(t.Context(), in, key)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = g.Enter(ctx, in, key)
	require.ErrorIs(t, err, context.Canceled)
	require.EqualError(t, err, "entsignal: inbox Received: another delivery of the message is being handled: context canceled")
	leave()
	leave, err = g.Enter(ctx, in, key)
	require.NoError(t, err, "nobody holds it")
	leave()
}
