package main

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal/pqconn"
)

const (
	clients        = 8
	orders         = 1000
	stopAt         = 300 // the broker is told to stop while this order is placed
	waitAt         = 700 // those from here on are placed when it is back
	outage         = 5 * time.Second
	relayOutage    = 10 * time.Second
	commandTimeout = 20 * time.Second
)

// TestOrders runs the service against real servers.
func TestOrders(t *testing.T) {
	serverURL(t) // before it takes the time to start a broker
	broker := startBroker(t)
	t.Setenv("AMQP_URL", broker.url)
	t.Run("commands", testCommands)
	t.Run("no passwords", func(t *testing.T) { testNoPasswords(t, broker) })
	t.Run("outage", func(t *testing.T) { testOutage(t, broker) })
	broker.start(t) // the node that the outage started has ended with it
	t.Run("relay", func(t *testing.T) { testRelay(t, broker) })
}

// testOutage has clients place orders while the broker stops and comes back.
// Every order that was committed has to arrive, and no other.
func testOutage(t *testing.T, broker *broker) {
	t.Setenv("DATABASE_URL", newDatabase(t))
	command(t, "setup")

	in := startInbox(t)
	require.Eventually(t, func() bool { return broker.consumers(queue) == 1 }, 2*time.Minute, 50*time.Millisecond)

	var (
		shop = newShop()
		all  sync.WaitGroup
		errs = make(chan error, clients)
	)
	for i := range clients {
		all.Go(func() { errs <- shop.work(t.Context(), fmt.Sprintf("client %d", i)) })
	}
	await(t, shop.stopping, "the first orders")
	stopped := time.Now()
	broker.stop(t)
	down := time.Now()
	<-time.After(outage)
	broker.start(t)
	back := time.Now()
	require.Eventually(t, func() bool { return broker.consumers(queue) == 1 }, 2*time.Minute, 50*time.Millisecond, "the consumer doesn't come back")
	close(shop.back)
	all.Wait()
	for range clients {
		require.NoError(t, <-errs)
	}
	require.Len(t, shop.committed, orders-orders/10)
	require.Len(t, shop.rolledBack, orders/10)

	pending := pendingMessages(t)
	require.NotEmpty(t, pending, "the broker was not missed at all")
	out := command(t, "signalbus", "flushmany")
	assert.Equal(t, fmt.Sprintf("%d signals sent\n", len(pending)), out)
	assert.Empty(t, pendingMessages(t))

	in.awaitCount(t, len(shop.committed))
	assert.Equal(t, shop.committed, in.stop(t), "the consumer has each committed order, and no other")
	assert.Empty(t, in.twice, "the consumer drops repeats")
	for key := range in.seen {
		require.Equal(t, appID, key.appID)
	}
	for _, d := range in.repeats {
		// Either its confirm was lost, so that the flush sent it again, or its
		// acknowledgement, so that the broker did.
		assert.True(t, pending[d.MessageId] || d.Redelivered, "%s was not in flight when the broker stopped", d.MessageId)
	}
	assert.LessOrEqual(t, count(in.repeats, func(d amqp.Delivery) bool { return !d.Redelivered }), clients,
		"each client had one order in flight at most")

	t.Logf("%d orders committed, %d rolled back, by %d clients", len(shop.committed), len(shop.rolledBack), clients)
	t.Logf("broker stopping %s, down %s, starting %s", round(down.Sub(stopped)), round(outage), round(back.Sub(down)-outage))
	t.Logf("%d sent by their commit, %d by the flush; slowest commit %s", len(shop.committed)-len(pending), len(pending), round(shop.slowest))
	t.Logf("%d received, %d repeats dropped", len(shop.committed), len(in.repeats))
}

// testRelay has the relay run as a service while the broker stops and comes back.
func testRelay(t *testing.T, broker *broker) {
	t.Setenv("DATABASE_URL", newDatabase(t))
	command(t, "setup")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var (
		stdout bytes.Buffer
		log    = newLines(-1) // only to be read while it is written
		ended  = make(chan int, 1)
		sent   = func() bool { return len(pendingMessages(t)) == 0 }
	)
	go func() { ended <- run(ctx, []string{"signalbus", "run"}, &stdout, log) }()

	placeQuietly(t, 5)
	require.Eventually(t, sent, 2*time.Minute, 50*time.Millisecond)
	broker.stop(t)
	placeQuietly(t, 5)
	<-time.After(relayOutage)
	assert.Len(t, pendingMessages(t), 5)
	assert.Empty(t, ended, "it survives the outage")
	broker.start(t)
	require.Eventually(t, sent, 2*time.Minute, 50*time.Millisecond)
	require.Eventually(t, func() bool { return strings.Contains(log.String(), "working again") }, 2*time.Minute, 50*time.Millisecond)

	cancel()
	assert.Zero(t, await(t, ended, "the end of the relay"))
	assert.Equal(t, "10 signals sent, interrupted\n", stdout.String())
	assert.Equal(t, 10, queued(t))
	for _, change := range []string{"failing, going on to try", "working again"} {
		assert.Equal(t, 1, strings.Count(log.String(), change), "one line per change of state")
	}
	t.Logf("the relay's log:\n%s", log)
}

// placeQuietly places n orders whose commits send nothing.
func placeQuietly(t *testing.T, n int) {
	t.Helper()
	s, err := open(slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	defer func() { require.NoError(t, s.close()) }()
	s.bus.SetAutoFlush(false)
	for range n {
		_, err := placeOrder(t.Context(), s.client, "customer", 100)
		require.NoError(t, err)
	}
}

// pendingMessages returns the message ids of the signals that wait for a flush.
func pendingMessages(t *testing.T) map[string]bool {
	t.Helper()
	s, err := open(slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	defer func() { require.NoError(t, s.close()) }()
	ids, err := s.client.OrderPlaced.Query().IDs(t.Context())
	require.NoError(t, err)
	pending := make(map[string]bool)
	for _, id := range ids {
		pending[fmt.Sprintf("OrderPlaced:%d", id)] = true
	}
	return pending
}

// newDatabase creates an empty database, which ends with the test, and returns
// its URL.
func newDatabase(t *testing.T) string {
	t.Helper()
	u := serverURL(t)
	admin, err := pqconn.Open(u.String())
	require.NoError(t, err)
	name := fmt.Sprintf("orders_%d_%d", os.Getpid(), time.Now().UnixNano())
	mustExec(t, admin, "CREATE DATABASE "+name)
	t.Cleanup(func() {
		defer admin.Close()
		mustExec(t, admin, "DROP DATABASE "+name+" WITH (FORCE)")
	})
	u.Path = "/" + name
	return u.String()
}

// serverURL returns the URL of the PostgreSQL for tests.
func serverURL(t *testing.T) *url.URL {
	t.Helper()
	server := os.Getenv("ENTSIGNAL_TEST_POSTGRES")
	require.NotEmpty(t, server, "set ENTSIGNAL_TEST_POSTGRES to the URL of a PostgreSQL, or run the tests by `make test`")
	u, err := url.Parse(server)
	require.NoError(t, err, "ENTSIGNAL_TEST_POSTGRES is not a URL")
	return u
}

func mustExec(t *testing.T, db *sql.DB, query string) {
	t.Helper()
	_, err := db.Exec(query)
	require.NoError(t, err, query)
}
