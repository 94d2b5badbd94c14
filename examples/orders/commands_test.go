package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal/rabbitmq"
)

// testCommands goes through the commands as the README does.
func testCommands(t *testing.T) {
	t.Setenv("DATABASE_URL", newDatabase(t))
	command(t, "setup")
	command(t, "setup") // may run again
	for _, name := range []string{"setup", "place", "consume", "signalbus"} {
		assert.Contains(t, command(t, "--help"), "\n  "+name+" ")
	}
	assert.Equal(t, "placed order 1\nplaced order 2\n", command(t, "place", "-n", "2"))

	t.Run("without broker", func(t *testing.T) {
		t.Setenv("AMQP_URL", "amqp://127.0.0.1:1/")
		assert.Equal(t, "placed order 3\n1 pending; send with: orders signalbus flush\n", command(t, "place"))
		var stdout, stderr bytes.Buffer
		assert.Equal(t, 1, run(t.Context(), []string{"signalbus", "flush", "-w", "0"}, &stdout, &stderr))
		assert.Equal(t, "0 signals sent, failed: OrderPlaced\n", stdout.String())
		assert.Equal(t, "SIGNAL       PENDING\nOrderPlaced  1\ntotal        1\n", command(t, "signalbus", "pending"))
	})
	assert.Contains(t, command(t, "signalbus", "signals"), "OrderPlaced")
	assert.Equal(t, "1 signal sent\n", command(t, "signalbus", "flush", "-w", "0"))
	assert.Equal(t, "0 signals sent\n", command(t, "signalbus", "flushmany"))
	assert.Equal(t, "0 signals sent\n", command(t, "signalbus", "flushordered", "OrderPlaced"))

	again := func(app string) rabbitmq.Message {
		return rabbitmq.Message{Exchange: exchange, RoutingKey: routingKey, AppID: app, MessageID: "OrderPlaced:1",
			Body: []byte(`{"order_id":9,"customer":"another application","cents":5}`)}
	}
	publish(t, again(appID), again("wholesale"))
	anonymous := rabbitmq.Message{Exchange: exchange, RoutingKey: routingKey, Body: []byte(`{"order_id":7,"customer":"nobody","cents":1}`)}
	publish(t, anonymous, anonymous)

	ctx, cancel := context.WithTimeout(t.Context(), commandTimeout)
	defer cancel()
	assert.Equal(t, 1, run(ctx, []string{"consume"}, fullDisk{}, io.Discard), "what can't be printed stays in the queue")
	require.Eventually(t, func() bool { return queued(t) == 7 }, 2*time.Minute, 50*time.Millisecond)
	out := newLines(7)
	code := make(chan int, 1)
	go func() { code <- run(ctx, []string{"consume"}, out, io.Discard) }()
	await(t, out.full, "seven messages")
	cancel()
	assert.Zero(t, await(t, code, "the end of consume"))
	assert.Equal(t, `order 1 of customer 1: 1.00
order 2 of customer 2: 2.00
order 3 of customer 1: 1.00
dropped a repeat of OrderPlaced:1
order 9 of another application: 0.05
order 7 of nobody: 0.01
order 7 of nobody: 0.01
`, out.String())
}

// fullDisk takes nothing.
type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, syscall.ENOSPC }

// publish sends messages without a bus.
func publish(t *testing.T, msgs ...rabbitmq.Message) {
	t.Helper()
	p, err := rabbitmq.NewPublisher(os.Getenv("AMQP_URL"))
	require.NoError(t, err)
	assert.NoError(t, p.Publish(t.Context(), msgs...))
	assert.NoError(t, p.Close(t.Context()))
}

// failing runs a command line, which has to fail, and returns its output.
func failing(t *testing.T, line string) (stdout, stderr string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), commandTimeout)
	defer cancel()
	var out, errOut bytes.Buffer
	assert.Equal(t, 1, run(ctx, strings.Fields(line), &out, &errOut), line)
	assert.NoError(t, ctx.Err(), "it took too long")
	return out.String(), errOut.String()
}

// command runs a command, which has to succeed, and returns its output.
func command(t *testing.T, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), commandTimeout)
	defer cancel()
	var stdout, stderr bytes.Buffer
	require.Zero(t, run(ctx, args, &stdout, &stderr), "%s: %s", strings.Join(args, " "), &stderr)
	return stdout.String()
}
