package docs

import (
	"context"
	"errors"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/integration/docs/ent"
	"github.com/entsignal/signalbus/integration/docs/ent/orderplaced"
)

func TestRecordedSignalIsFoundByAQuery(t *testing.T) {
	var senders recorder
	bus, client := senders.openSQLite(t, filepath.Join(t.TempDir(), "shop.db"))

	// snippet: testing
	bus.SetAutoFlush(false) // commits record signals and don't send them
	order, err := placeOrder(t.Context(), client, "Ada")
	require.NoError(t, err)

	recorded := client.OrderPlaced.Query().Where(orderplaced.Customer("Ada")).OnlyX(t.Context())
	assert.Equal(t, order.ID, recorded.OrderID)
	// end snippet
	assert.Empty(t, senders.orders)

	// What the page says of a service that forgets its signal, or records two.
	_, err = client.OrderPlaced.Query().Where(orderplaced.Customer("Bob")).Only(t.Context())
	require.EqualError(t, err, "ent: order_placed not found")
	_, err = placeOrder(t.Context(), client, "Ada")
	require.NoError(t, err)
	_, err = client.OrderPlaced.Query().Where(orderplaced.Customer("Ada")).Only(t.Context())
	require.EqualError(t, err, "ent: order_placed not singular")
}

func TestSenderHasBeenCalledWhenTheCommitReturns(t *testing.T) {
	away := false
	// snippet: testing_sent
	var sent []*ent.OrderPlaced
	bus, err := ent.NewSignalBus(ent.SignalSenders{
		OrderPlaced: func(_ context.Context, signals []*ent.OrderPlaced) error {
			// end snippet
			if away {
				return entsignal.Unavailable(errors.New("the broker is away"))
			}
			// snippet: testing_sent
			sent = append(sent, signals...)
			return nil
		},
	}, entsignal.WithMissingSenders())
	// end snippet
	require.NoError(t, err)
	client := openSQLite(filepath.Join(t.TempDir(), "shop.db"), bus)
	t.Cleanup(func() { client.Close() })
	require.NoError(t, client.Schema.Create(t.Context()))

	_, err = placeOrder(t.Context(), client, "Ada")
	require.NoError(t, err)
	require.Len(t, sent, 1)
	assert.Equal(t, "Ada", sent[0].Customer)

	away = true
	_, err = placeOrder(t.Context(), client, "Bob")
	require.NoError(t, err)
	assert.Equal(t, 1, client.OrderPlaced.Query().CountX(t.Context()))
	away = false
	n, err := bus.Flush(t.Context(), entsignal.Wait(0))
	require.NoError(t, err)
	assert.Equal(t, 1, n)
}
