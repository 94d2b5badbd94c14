package main

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/spf13/cobra"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal/pqconn"
	"github.com/entsignal/signalbus/entsignal/rabbitmq"
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
	require.Eventually(t, func() bool { return broker.consumers(queue) == 1 }, 30*time.Second, 50*time.Millisecond)

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
	require.Eventually(t, func() bool { return broker.consumers(queue) == 1 }, 30*time.Second, 50*time.Millisecond, "the consumer doesn't come back")
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

// shop counts what its clients do.
type shop struct {
	next     atomic.Int64
	stopping chan struct{} // closed at the order stopAt
	back     chan struct{} // closed when the broker is back

	mu                    sync.Mutex
	committed, rolledBack map[int]bool // by the id of the order
	slowest               time.Duration
}

func newShop() *shop {
	return &shop{
		stopping:  make(chan struct{}),
		back:      make(chan struct{}),
		committed: make(map[int]bool), rolledBack: make(map[int]bool),
	}
}

// work places orders with a service of its own, until all are placed.
func (s *shop) work(ctx context.Context, customer string) error {
	service, err := open(slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	for n := s.next.Add(1); n <= orders; n = s.next.Add(1) {
		if n == stopAt {
			close(s.stopping)
		}
		if n >= waitAt {
			select {
			case <-s.back:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if n%10 == 0 {
			err = s.rollBack(ctx, service, customer)
		} else {
			err = s.place(ctx, service, customer, int(n))
		}
		if err != nil {
			return fmt.Errorf("order %d: %w", n, err)
		}
	}
	return service.close()
}

func (s *shop) place(ctx context.Context, service *service, customer string, cents int) error {
	started := time.Now()
	order, err := placeOrder(ctx, service.client, customer, cents)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.committed[order.ID] = true
	s.slowest = max(s.slowest, time.Since(started))
	return nil
}

func (s *shop) rollBack(ctx context.Context, service *service, customer string) error {
	tx, err := service.client.Tx(ctx)
	if err != nil {
		return err
	}
	order, err := recordOrder(ctx, tx, customer, 1)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.rolledBack[order.ID] = true
	s.mu.Unlock()
	return tx.Rollback()
}

// inbox is a running consumer.
type inbox struct {
	*consumer
	cancel  context.CancelFunc
	ended   chan error
	arrived chan struct{} // holds a token when something came

	mu       sync.Mutex
	received map[int]bool
	twice    []int // orders that were handled more than once
	repeats  []amqp.Delivery
}

func startInbox(t *testing.T) *inbox {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	in := &inbox{cancel: cancel, ended: make(chan error, 1), arrived: make(chan struct{}, 1), received: make(map[int]bool)}
	in.consumer = &consumer{log: slog.New(slog.DiscardHandler), handle: in.handle, repeated: in.repeated, seen: make(map[message]bool)}
	go func() { in.ended <- in.run(ctx) }()
	t.Cleanup(cancel)
	return in
}

func (in *inbox) handle(m orderPlaced) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.received[m.OrderID] {
		in.twice = append(in.twice, m.OrderID)
	}
	in.received[m.OrderID] = true
	select {
	case in.arrived <- struct{}{}:
	default:
	}
	return nil
}

func (in *inbox) repeated(d amqp.Delivery) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.repeats = append(in.repeats, d)
}

func (in *inbox) count() int {
	in.mu.Lock()
	defer in.mu.Unlock()
	return len(in.received)
}

func (in *inbox) awaitCount(t *testing.T, n int) {
	t.Helper()
	timeout := time.After(30 * time.Second)
	for in.count() < n {
		select {
		case <-in.arrived:
		case <-timeout:
			require.Failf(t, "messages are missing", "%d of %d have arrived", in.count(), n)
		}
	}
}

// stop ends the consumer when the queue is empty, and returns what it got.
func (in *inbox) stop(t *testing.T) map[int]bool {
	t.Helper()
	require.Eventually(t, func() bool { return queued(t) == 0 }, 30*time.Second, 50*time.Millisecond)
	in.cancel()
	require.NoError(t, await(t, in.ended, "the end of the consumer"))
	return maps.Clone(in.received)
}

// queued returns how many messages wait in the queue.
func queued(t *testing.T) int {
	conn, err := dial(t.Context())
	if !assert.NoError(t, err) {
		return -1
	}
	defer conn.Close()
	ch, err := conn.Channel()
	if !assert.NoError(t, err) {
		return -1
	}
	q, err := ch.QueueDeclarePassive(queue, true, false, false, false, nil)
	if !assert.NoError(t, err) {
		return -1
	}
	return q.Messages
}

// testRelay has a flush run as a service while the broker stops and comes back.
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
	go func() { ended <- run(ctx, []string{"signalbus", "flushmany", "--repeat", "1s"}, &stdout, log) }()

	placeQuietly(t, 5)
	require.Eventually(t, sent, 30*time.Second, 50*time.Millisecond)
	broker.stop(t)
	placeQuietly(t, 5)
	<-time.After(relayOutage)
	assert.Len(t, pendingMessages(t), 5)
	assert.Empty(t, ended, "it survives the outage")
	broker.start(t)
	require.Eventually(t, sent, 60*time.Second, 50*time.Millisecond)
	require.Eventually(t, func() bool { return strings.Contains(log.String(), "working again") }, 5*time.Second, 50*time.Millisecond)

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
	require.Eventually(t, func() bool { return queued(t) == 7 }, 30*time.Second, 50*time.Millisecond)
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

// URLs that nobody should see: of servers that are not there, and malformed.
const (
	secret       = "hunter2"
	deadDatabase = "postgres://u:hunter2@127.0.0.1:1/db"
	badDatabase  = "postgres://u:hunter2@127.0.0.1:port/db"
	deadBroker   = "amqp://u:hunter2@127.0.0.1:1/"
	badBroker    = "amqp://u:hunter2@127.0.0.1:port/"
)

// TestMistakes has a clear error for each, without the values of the variables.
func TestMistakes(t *testing.T) {
	for name, c := range map[string]struct {
		database, amqp string
		args           []string
		code           int
		want           string
	}{
		"unknown command":    {"x", "x", []string{"paint"}, 2, "unknown command"},
		"not a number":       {"x", "x", []string{"place", "-n", "many"}, 2, "invalid argument"},
		"less than none":     {"x", "x", []string{"place", "-n", "-1"}, 2, "invalid argument"},
		"an argument":        {"x", "x", []string{"place", "now"}, 2, "unknown command"},
		"no subcommand":      {"x", "x", []string{"signalbus"}, 2, "missing subcommand"},
		"unknown subcommand": {"x", "x", []string{"signalbus", "flsh"}, 2, "Run 'orders signalbus --help' for usage."},
		"unknown signal":     {deadDatabase, deadBroker, []string{"signalbus", "flush", "OrderPlced"}, 2, `did you mean "OrderPlaced"?`},
		"no database":        {"", deadBroker, []string{"signalbus", "flush"}, 1, "DATABASE_URL is not set"},
		"no broker":          {deadDatabase, "", []string{"place"}, 1, "AMQP_URL is not set"},
		"consume nothing":    {"", "", []string{"consume"}, 1, "AMQP_URL is not set"},
		"bad database":       {badDatabase, deadBroker, []string{"place"}, 1, "DATABASE_URL"},
		"bad broker":         {deadDatabase, "http://u:hunter2@127.0.0.1:1/", []string{"place"}, 1, "AMQP_URL"},
		"bad consume":        {"", badBroker, []string{"consume"}, 1, "AMQP_URL"},
		"bare slash":         {"", "amqp://u:12/hunter2@127.0.0.1:1/", []string{"consume"}, 1, "AMQP_URL"},
		"bare @ and slash":   {"", "amqp://u:a@hunter2/b@127.0.0.1:1/", []string{"consume"}, 1, "AMQP_URL"},
		"bare @ and ?":       {"", "amqp://u:a@hunter2?b@127.0.0.1:1/", []string{"consume"}, 1, "AMQP_URL"},
		"dead database":      {deadDatabase, deadBroker, []string{"setup"}, 1, "create the tables"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("DATABASE_URL", c.database)
			t.Setenv("AMQP_URL", c.amqp)
			ctx, cancel := context.WithTimeout(t.Context(), commandTimeout)
			defer cancel()
			var stdout, stderr bytes.Buffer
			assert.Equal(t, c.code, run(ctx, c.args, &stdout, &stderr))
			assert.Contains(t, stderr.String(), c.want)
			assert.NotContains(t, stdout.String()+stderr.String(), secret)
			assert.NoError(t, ctx.Err(), "it took too long")
		})
	}
}

// TestNoPasswords has the commands of the group fail, in each form of their
// output.
func TestNoPasswords(t *testing.T) {
	urls := map[string]struct{ database, amqp, want string }{
		"bad database":            {badDatabase, deadBroker, "DATABASE_URL"},
		"bad database, key=value": {"host=127.0.0.1 port=x password=hunter2", deadBroker, ""},
		"dead database":           {deadDatabase, deadBroker, "127.0.0.1:1"},
		"bad broker":              {deadDatabase, badBroker, "AMQP_URL"},
		"bad broker, bad slash":   {deadDatabase, "amqp://u:12/hunter2@127.0.0.1:1/", ""},
		"bad broker, bare @":      {deadDatabase, "amqp://u:a@hunter2/b@127.0.0.1:1/", "AMQP_URL"},
		"bad database, bare @":    {"postgres://u:a@hunter2/b@127.0.0.1:1/db", deadBroker, "DATABASE_URL"},
		"another database":        {"mysql://u:hunter2@127.0.0.1:1/db?tls=true", deadBroker, "DATABASE_URL"},
		"bad broker, bad percent": {deadDatabase, "amqp://u:%zzhunter2@127.0.0.1:1/", "AMQP_URL"},
	}
	for name, c := range urls {
		for _, args := range []string{
			"pending", "pending --output json --log-format json",
			"flush -w 0", "flush -w 0 --output json --log-format json --log-level debug",
			"flushmany", "flushordered",
		} {
			t.Run(name+"/"+args, func(t *testing.T) {
				t.Setenv("DATABASE_URL", c.database)
				t.Setenv("AMQP_URL", c.amqp)
				stdout, stderr := failing(t, "signalbus "+args)
				assert.Contains(t, stdout+stderr, c.want)
				assert.NotContains(t, stdout+stderr, secret)
			})
		}
	}
}

// A command line is there for everybody to read, so nothing on it may need a
// password: neither of this program's own commands, nor of the group.
func TestNoFlagTakesAPassword(t *testing.T) {
	flags := 0
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		usages := c.Flags().FlagUsages()
		flags += strings.Count(usages, "--")
		assert.NotRegexp(t, `(?i)url|dsn|password|secret|credential`, usages, c.CommandPath())
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(newRoot(slog.New(slog.DiscardHandler)))
	assert.Greater(t, flags, 10)
}

// testNoPasswords has a flush reach the database and fail at the broker.
func testNoPasswords(t *testing.T, broker *broker) {
	t.Setenv("DATABASE_URL", newDatabase(t))
	command(t, "setup")
	t.Setenv("AMQP_URL", deadBroker)
	command(t, "place")
	right := strings.TrimPrefix(broker.url, "amqp://guest:guest@")
	for _, wrong := range []string{deadBroker, "amqp://guest:hunter2@" + right, "amqp://guest:12/hunter2@" + right} {
		t.Setenv("AMQP_URL", wrong)
		for _, args := range []string{"flush -w 0", "flushmany", "flushordered --output json --log-format json"} {
			stdout, stderr := failing(t, "signalbus "+args)
			assert.NotContains(t, stdout+stderr, secret)
		}
	}
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

// lines is a writer that tells when it has got a number of lines.
type lines struct {
	full chan struct{}

	mu   sync.Mutex
	want int
	text strings.Builder
}

func newLines(want int) *lines { return &lines{full: make(chan struct{}), want: want} }

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.want -= bytes.Count(b, []byte("\n")); l.want == 0 {
		close(l.full)
	}
	return l.text.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// await returns what ch delivers.
func await[T any](t *testing.T, ch <-chan T, what string) (v T) {
	t.Helper()
	select {
	case v = <-ch:
	case <-time.After(30 * time.Second):
		require.Fail(t, "waited too long for "+what)
	}
	return v
}

func count[T any](all []T, match func(T) bool) (n int) {
	for _, v := range all {
		if match(v) {
			n++
		}
	}
	return n
}

func round(d time.Duration) time.Duration { return d.Round(10 * time.Millisecond) }
