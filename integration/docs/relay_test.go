package docs

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/integration/docs/ent"
	"github.com/entsignal/signalbus/internal/testlog"
)

func TestSnippetsOfTheRelay(t *testing.T) {
	pub, err := clustered("amqp://guest:guest@localhost/")
	require.NoError(t, err)
	require.NoError(t, pub.Close(t.Context()))
	bus := awaited(os.Getenv("ENTSIGNAL_TEST_POSTGRES"), ent.SignalSenders{
		OrderPlaced: func(context.Context, []*ent.OrderPlaced) error { return nil },
		ShipmentDue: dropShipments,
	})
	var log testlog.Log
	relay(t.Context(), bus, log.Logger()) // of a bus that no client was opened with
	require.Eventually(t, func() bool { return log.Count("the relay can't run") == 1 }, time.Minute, time.Millisecond)
}
