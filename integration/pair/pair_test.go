package pair_test

import (
	"os"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/entsignal/signalbus/integration/internal/server"
	"github.com/entsignal/signalbus/integration/pair"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// killsEnv is how many processes of each bank a long run kills.
const killsEnv = "ENTSIGNAL_PAIR_KILLS"

func TestTransfersAreAppliedOnceThroughKillsCutsAndARestartOfTheBroker(t *testing.T) {
	kills := 5
	if text := os.Getenv(killsEnv); text != "" {
		var err error
		kills, err = strconv.Atoi(text)
		require.NoError(t, err, killsEnv)
	}
	var (
		broker  *server.Servers
		failed  error
		started = make(chan struct{})
	)
	go func() {
		defer close(started)
		broker, failed = server.StartRabbitMQ()
	}()
	t.Cleanup(func() {
		<-started
		assert.NoError(t, broker.Stop())
	})
	binary := pair.Build(t)
	<-started
	require.NoError(t, failed)
	v := pair.Run(t, pair.Config{
		Binary: binary, AMQP: broker.AMQP, Kills: kills, Cuts: 2 * kills,
		Restart: func() error {
			if err := broker.Kill("rabbitmq"); err != nil {
				return err
			}
			return broker.Up("rabbitmq")
		},
	})
	t.Logf("%+v", v)
	assert.Empty(t, v.Violations())
	assert.Positive(t, v.Booked)
	assert.Positive(t, v.Returned)
}
