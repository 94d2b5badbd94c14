// Package takeover runs a relay while servers die for good, and others take over:
// a node of a RabbitMQ cluster, and a PostgreSQL primary whose standby is promoted.
package takeover

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
	_ "github.com/lib/pq"
	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/entsignal/pqconn"
	"github.com/entsignal/signalbus/entsignal/rabbitmq"
	"github.com/entsignal/signalbus/integration/internal/server"
	"github.com/entsignal/signalbus/integration/internal/testdb"
	"github.com/entsignal/signalbus/integration/shop/ent"
	"github.com/entsignal/signalbus/integration/shop/ent/order"
	"github.com/entsignal/signalbus/internal/testlog"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// ctx returns a context that ends a test that hangs.
func ctx(t testing.TB) context.Context {
	c, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	t.Cleanup(cancel)
	return c
}

// record records an audit with a number, and an order as the proof that it did.
func record(ctx context.Context, client *ent.Client, n int) error {
	return client.Atomic(ctx, func(ctx context.Context, tx *ent.Tx) error {
		if err := tx.Order.Create().SetNumber(n).Exec(ctx); err != nil {
			return err
		}
		return tx.AuditLogged.Create().SetNumber(n).Exec(ctx)
	})
}

func TestNodeThatDiesUnderLoadLosesNothing(t *testing.T) {
	t.Parallel()
	cluster, err := server.StartRabbitCluster(ctx(t), 3)
	t.Cleanup(func() { assert.NoError(t, cluster.Stop()) })
	require.NoError(t, err)
	const queue = "audits"
	declare(t, cluster.Nodes[0], queue)

	var log testlog.Log
	pub, err := rabbitmq.NewPublisher(cluster.Nodes[0].URL, rabbitmq.WithAddresses(cluster.Addrs()...), rabbitmq.WithLogger(log.Logger()))
	require.NoError(t, err)
	db := testdb.New(t, testdb.PostgreSQL)
	bus, err := ent.NewSignalBus(ent.SignalSenders{
		AuditLogged: rabbitmq.Sender(pub, func(s *ent.AuditLogged) (rabbitmq.Message, error) {
			body, err := json.Marshal(s.Number)
			return rabbitmq.Message{RoutingKey: queue, Body: body}, err
		}),
	}, entsignal.WithMissingSenders(), entsignal.WithLogger(log.Logger()), entsignal.WithBurstCount(50))
	require.NoError(t, err)
	client := ent.NewClient(ent.Driver(db.Driver(t)), ent.WithSignalBus(bus))
	db.CreateTables(t, func(w io.Writer) error { return client.Schema.WriteTo(ctx(t), w) })
	running, stop := context.WithCancel(ctx(t))
	ended := make(chan error, 1)
	go func() { ended <- bus.Run(running) }()

	sent := func() int64 { return bus.RunState().Sent }
	n := 0
	load := func(until func() bool) {
		for !until() {
			require.NoError(t, running.Err(), "too little was sent; the log:\n%s", &log)
			require.NoError(t, record(running, client, n))
			n++
		}
	}
	load(func() bool { return sent() > 50 })
	node := cluster.At(log.String())
	t.Logf("connected to %s", node.Addr)
	killed := time.Now()
	node.Kill()
	before := sent() + 500 // what was under way may count
	load(func() bool { return sent() > before-500+100 })
	t.Logf("100 others were sent %v after the node was killed", time.Since(killed).Round(time.Millisecond))
	last := n + 100
	load(func() bool { return n == last })
	require.Eventually(t, func() bool { return client.AuditLogged.Query().CountX(ctx(t)) == 0 }, 2*time.Minute, 10*time.Millisecond)
	stop()
	require.NoError(t, <-ended)
	require.NoError(t, bus.Close(ctx(t)))
	require.NoError(t, pub.Close(ctx(t)))

	alive := cluster.Nodes[slices.IndexFunc(cluster.Nodes, func(n *server.RabbitNode) bool { return n != node })]
	received := make(map[int]int)
	for _, number := range drain(t, alive, queue) {
		received[number]++
	}
	for i := range n {
		if received[i] == 0 {
			t.Errorf("%d was lost", i)
		}
	}
	assert.Len(t, received, n, "and none is a phantom")
	if t.Failed() {
		t.Logf("the log:\n%s", &log)
	}
}

// declare declares a quorum queue.
func declare(t *testing.T, node *server.RabbitNode, queue string) {
	t.Helper()
	conn, err := amqp.Dial(node.URL)
	require.NoError(t, err)
	defer conn.Close()
	ch, err := conn.Channel()
	require.NoError(t, err)
	_, err = ch.QueueDeclare(queue, true, false, false, false, amqp.Table{"x-queue-type": "quorum", "x-quorum-initial-group-size": 3})
	require.NoError(t, err)
}

// drain returns what is in a queue.
func drain(t *testing.T, node *server.RabbitNode, queue string) (numbers []int) {
	t.Helper()
	conn, err := amqp.Dial(node.URL)
	require.NoError(t, err)
	defer conn.Close()
	ch, err := conn.Channel()
	require.NoError(t, err)
	for {
		d, ok, err := ch.Get(queue, true)
		require.NoError(t, err)
		if !ok {
			return numbers
		}
		var number int
		require.NoError(t, json.Unmarshal(d.Body, &number))
		numbers = append(numbers, number)
	}
}

func TestStandbyThatIsPromotedTakesOverWithoutARestart(t *testing.T) {
	t.Parallel()
	servers, err := server.StartPair()
	t.Cleanup(func() { assert.NoError(t, servers.Stop()) })
	require.NoError(t, err)
	primary, standby := admin(t, servers.Primary), admin(t, servers.Standby)
	client := ent.NewClient(ent.Driver(entsql.OpenDB(dialect.Postgres, primary)))
	require.NoError(t, client.Schema.Create(ctx(t)))
	// A commit that was acknowledged must be there after the failover.
	for _, statement := range []string{"ALTER SYSTEM SET synchronous_standby_names = '*'", "SELECT pg_reload_conf()"} {
		_, err := primary.Exec(statement)
		require.NoError(t, err)
	}
	require.Eventually(t, func() bool {
		var n int
		return primary.QueryRow("SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'").Scan(&n) == nil && n == 1
	}, time.Minute, 10*time.Millisecond)

	dsn := hosts(t, servers.Primary, servers.Standby)
	pool, err := pqconn.Open(dsn, pqconn.WithConnectTimeout(2*time.Second))
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, pool.Close()) })
	wakeUp, err := pqconn.NewWakeUp(dsn, pqconn.WithConnectTimeout(2*time.Second))
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, wakeUp.Close()) })
	var (
		log  testlog.Log
		mu   sync.Mutex
		sent = make(map[int]int)
	)
	bus, err := ent.NewSignalBus(ent.SignalSenders{
		AuditLogged: entsignal.Each(func(_ context.Context, s *ent.AuditLogged) error {
			mu.Lock()
			defer mu.Unlock()
			sent[s.Number]++
			return nil
		}),
	}, entsignal.WithMissingSenders(), entsignal.WithLogger(log.Logger()), entsignal.WithWakeUp(wakeUp))
	require.NoError(t, err)
	app := ent.NewClient(ent.Driver(entsql.OpenDB(dialect.Postgres, pool)), ent.WithSignalBus(bus))
	running, stop := context.WithCancel(ctx(t))
	ended := make(chan error, 1)
	go func() { ended <- bus.Run(running) }()
	count := func() int {
		mu.Lock()
		defer mu.Unlock()
		return len(sent)
	}

	n, failed := 0, 0
	load := func(until func() bool) {
		for !until() {
			c, cancel := context.WithTimeout(ctx(t), 5*time.Second)
			if record(c, app, n) != nil {
				failed++ // whether it was committed the table of orders tells
			}
			cancel()
			n++
		}
	}
	load(func() bool { return count() > 50 })
	require.NoError(t, servers.Kill("postgres"))
	killed := time.Now()
	for failed == 0 {
		load(func() bool { return failed > 0 })
	}
	_, err = standby.Exec("SELECT pg_promote()")
	require.NoError(t, err)
	promoted := time.Now()
	before := count()
	load(func() bool { return count() > before+50 })
	t.Logf("killed, promoted %v later, 50 others were sent %v after that; %d transactions failed",
		promoted.Sub(killed).Round(time.Millisecond), time.Since(promoted).Round(time.Millisecond), failed)
	require.Eventually(t, func() bool {
		left, err := app.AuditLogged.Query().Count(ctx(t))
		return err == nil && left == 0
	}, 2*time.Minute, 10*time.Millisecond)
	stop()
	require.NoError(t, <-ended)
	require.NoError(t, bus.Close(ctx(t)))
	for _, number := range app.Order.Query().Order(ent.Asc(order.FieldNumber)).Select(order.FieldNumber).IntsX(ctx(t)) {
		if sent[number] == 0 {
			t.Errorf("%d was lost", number)
		}
		delete(sent, number)
	}
	assert.Empty(t, sent, "phantoms: sent, and not committed")
	if t.Failed() {
		t.Logf("the log:\n%s", &log)
	}
}

func admin(t *testing.T, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open("postgres", dsn)
	require.NoError(t, err)
	t.Cleanup(func() { db.Close() })
	return db
}

// hosts returns the DSN that has both servers, and wants the one that takes writes.
func hosts(t *testing.T, a, b string) string {
	t.Helper()
	first, err := url.Parse(a)
	require.NoError(t, err)
	second, err := url.Parse(b)
	require.NoError(t, err)
	first.Host = fmt.Sprintf("%s,%s", first.Host, second.Host)
	q := first.Query()
	q.Set("target_session_attrs", "read-write")
	first.RawQuery = q.Encode()
	return first.String()
}
