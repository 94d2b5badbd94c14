// Package docs holds the documentation to the code: each Go snippet in it is a
// region of a file here, which is compiled and run.
package docs

import (
	"context"
	"database/sql"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	_ "modernc.org/sqlite"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/integration/docs/ent"
	"github.com/entsignal/signalbus/integration/internal/testdb"
)

func TestFirstScreenDelivers(t *testing.T) {
	db := database(t, testdb.PostgreSQL)
	deliveries := subscribe(t, testdb.Env(t, "ENTSIGNAL_TEST_AMQP"))

	bus, pub, client := application(ctx(t), testdb.Env(t, "ENTSIGNAL_TEST_AMQP"), db.DSN)
	select {
	case d := <-deliveries:
		assert.Equal(t, "shop", d.AppId)
		assert.Equal(t, "OrderPlaced:1", d.MessageId)
		assert.JSONEq(t, `{"order_id": 1, "customer": "Ada"}`, string(d.Body))
	case <-time.After(20 * time.Second):
		t.Fatal("nothing was delivered")
	}
	assert.Zero(t, client.OrderPlaced.Query().CountX(ctx(t)))
	require.NoError(t, shutdown(ctx(t), bus, pub, client))
}

// subscribe binds a queue to the exchange of the first screen.
func subscribe(t *testing.T, url string) <-chan amqp.Delivery {
	t.Helper()
	conn, err := amqp.Dial(url)
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	ch, err := conn.Channel()
	require.NoError(t, err)
	// Gone with the last queue that is bound to it, which is gone with its
	// connection.
	require.NoError(t, ch.ExchangeDeclare("shop.orders", amqp.ExchangeDirect, false, true, false, false, nil))
	q, err := ch.QueueDeclare("", false, true, true, false, nil)
	require.NoError(t, err)
	require.NoError(t, ch.QueueBind(q.Name, "placed", "shop.orders", false, nil))
	deliveries, err := ch.Consume(q.Name, "", true, true, false, false, nil)
	require.NoError(t, err)
	return deliveries
}

func TestFlushesOfTheReadme(t *testing.T) {
	var senders recorder
	bus, client := senders.openSQLite(t, filepath.Join(t.TempDir(), "shop.db"))
	for _, customer := range []string{"Bob", "Ada"} {
		client.ShipmentDue.Create().SetCustomer(customer).SetPriority(1).ExecX(ctx(t))
	}
	client.ShipmentDue.Create().SetCustomer("Ada").SetPriority(2).ExecX(ctx(t))

	bus.SetAutoFlush(false)
	client.OrderPlaced.Create().SetOrderID(7).SetCustomer("Ada").ExecX(ctx(t))
	_, err := client.OrderPlaced.Flush(ctx(t), entsignal.Wait(0))
	require.NoError(t, err)
	assert.Equal(t, []int{7}, senders.orders)

	n, err := client.ShipmentDue.FlushOrdered(ctx(t))
	require.NoError(t, err)
	assert.Equal(t, 3, n)
	assert.Equal(t, []shipment{{"Ada", 2}, {"Ada", 1}, {"Bob", 1}}, senders.shipments)

	sent, pending := flushes(ctx(t), bus, client)
	assert.Zero(t, sent)
	assert.Equal(t, []entsignal.PendingCount{{Name: "OrderPlaced"}, {Name: "ShipmentDue"}}, pending)

	bus.SetAutoFlush(true)
	order, err := placeOrder(ctx(t), client, "Cleo")
	require.NoError(t, err)
	assert.Equal(t, []int{7, order.ID}, senders.orders)
	require.NoError(t, rename(ctx(t), client, order.ID, strings.ToUpper))
	assert.Equal(t, "CLEO", client.Order.GetX(ctx(t), order.ID).Customer)
}

func TestSenderOfTheReadme(t *testing.T) {
	status := map[string]int{}
	var keys []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key := r.Header.Get("Idempotency-Key")
		keys = append(keys, key)
		if code := status[key]; code != 0 {
			w.WriteHeader(code)
		}
	}))
	defer server.Close()
	h := hook{url: server.URL}
	bus, err := ent.NewSignalBus(ent.SignalSenders{OrderPlaced: entsignal.Each(h.post), ShipmentDue: dropShipments})
	require.NoError(t, err)
	client := openPostgres(database(t, testdb.PostgreSQL).DSN, bus)
	defer client.Close()

	status["OrderPlaced:2"] = unavailable
	client.OrderPlaced.MapCreateBulk(make([]int, 3), func(c *ent.OrderPlacedCreate, i int) {
		c.SetOrderID(i).SetCustomer("Ada")
	}).ExecX(ctx(t))
	assert.Equal(t, []string{"OrderPlaced:1", "OrderPlaced:2", "OrderPlaced:3"}, keys)
	assert.Equal(t, []int{2}, client.OrderPlaced.Query().IDsX(ctx(t)))

	server.Close()
	_, err = bus.Flush(ctx(t), entsignal.Wait(0))
	require.Error(t, err)
	assert.True(t, entsignal.IsUnavailable(err))
}

func TestBatchSenderOfTheReadme(t *testing.T) {
	broker := &fakeBulk{}
	bus, err := ent.NewSignalBus(ent.SignalSenders{OrderPlaced: bulkSender(broker), ShipmentDue: dropShipments})
	require.NoError(t, err)
	client := openSQLite(filepath.Join(t.TempDir(), "shop.db"), bus)
	defer client.Close()
	require.NoError(t, client.Schema.Create(ctx(t)))

	record := func() {
		client.OrderPlaced.MapCreateBulk(make([]int, 3), func(c *ent.OrderPlacedCreate, i int) {
			c.SetOrderID(i + 1).SetCustomer("Ada")
		}).ExecX(ctx(t))
	}
	broker.refuses = 2
	record()
	assert.Equal(t, 1, client.OrderPlaced.Query().CountX(ctx(t)), "the one that was refused stays")
	broker.down = errors.New("down")
	record()
	assert.Equal(t, 4, client.OrderPlaced.Query().CountX(ctx(t)))
	broker.down, broker.refuses = nil, 0
	n, err := client.OrderPlaced.FlushMany(ctx(t), entsignal.Burst(10))
	require.NoError(t, err, "a BatchError without an error is none")
	assert.Equal(t, 4, n)
}

type fakeBulk struct {
	refuses int
	down    error
}

func (b *fakeBulk) Store(_ context.Context, orders []int) ([]error, error) {
	answers := make([]error, len(orders))
	for i, order := range orders {
		if order == b.refuses {
			answers[i] = errors.New("refused")
		}
	}
	return answers, b.down
}

func TestConsumerOfTheGuarantees(t *testing.T) {
	db := testdb.New(t, testdb.PostgreSQL).Open(t)
	_, err := db.Exec("CREATE TABLE handled (app_id text, message_id text, PRIMARY KEY (app_id, message_id))")
	require.NoError(t, err)
	applied := 0
	apply := func(*sql.Tx) error { applied++; return nil }
	failing := func(*sql.Tx) error { return errors.New("no") }
	first := amqp.Delivery{AppId: "shop", MessageId: "OrderPlaced:1"}
	require.Error(t, handle(ctx(t), db, first, failing))
	for range 3 {
		require.NoError(t, handle(ctx(t), db, first, apply))
	}
	require.NoError(t, handle(ctx(t), db, amqp.Delivery{AppId: "other", MessageId: "OrderPlaced:1"}, apply))
	assert.Equal(t, 2, applied)
}

func TestCommandsOfTheReadme(t *testing.T) {
	path := filepath.Join(t.TempDir(), "shop.db")
	var senders recorder
	bus, client := senders.openSQLite(t, path)
	bus.SetAutoFlush(false)
	client.OrderPlaced.Create().SetOrderID(7).SetCustomer("Ada").ExecX(ctx(t))

	program := filepath.Join(t.TempDir(), "signalbus")
	out, err := exec.CommandContext(ctx(t), "go", "build", "-buildvcs=false", "-o", program, "./signalbus").CombinedOutput()
	require.NoError(t, err, "%s", out)
	flush := exec.CommandContext(ctx(t), program, "flush", "-w", "0")
	flush.Env = append(flush.Environ(), "SHOP_DSN=file:"+path+"?_txlock=immediate&_pragma=busy_timeout(5000)")
	out, err = flush.Output()
	require.NoError(t, err)
	assert.Contains(t, string(out), "order 7\n")
	assert.Zero(t, client.OrderPlaced.Query().CountX(ctx(t)))
}

// recorder has senders that note what they get.
type recorder struct {
	orders    []int
	shipments []shipment
}

type shipment struct {
	customer string
	priority int
}

func (r *recorder) openSQLite(t *testing.T, path string) (*entsignal.Bus, *ent.Client) {
	t.Helper()
	bus, err := ent.NewSignalBus(ent.SignalSenders{
		OrderPlaced: entsignal.Each(func(_ context.Context, s *ent.OrderPlaced) error {
			r.orders = append(r.orders, s.OrderID)
			return nil
		}),
		ShipmentDue: entsignal.Each(func(_ context.Context, s *ent.ShipmentDue) error {
			r.shipments = append(r.shipments, shipment{s.Customer, s.Priority})
			return nil
		}),
	})
	require.NoError(t, err)
	client := openSQLite(path, bus)
	t.Cleanup(func() { client.Close() })
	require.NoError(t, client.Schema.Create(ctx(t)))
	return bus, client
}

// database returns an empty database with the tables of the snippets.
func database(t *testing.T, kind testdb.Kind) *testdb.DB {
	t.Helper()
	db := testdb.New(t, kind)
	client := ent.NewClient(ent.Driver(db.Driver(t)))
	db.CreateTables(t, func(w io.Writer) error { return client.Schema.WriteTo(ctx(t), w) })
	return db
}

// ctx returns a context that ends a test that hangs.
func ctx(t testing.TB) context.Context {
	c, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	t.Cleanup(cancel)
	return c
}
