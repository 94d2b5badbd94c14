package docs

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/entsignal/entsignaltest"
	"github.com/entsignal/signalbus/entsignal/rabbitmq"
	"github.com/entsignal/signalbus/integration/docs/ent"
	"github.com/entsignal/signalbus/integration/docs/ent/orderplaced"
	"github.com/entsignal/signalbus/integration/internal/testdb"
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

// snippet: testing_sent

func TestPlacedOrderIsAnnounced(t *testing.T) {
	senders, outbox := entsignaltest.Senders[ent.SignalSenders](t)
	bus, err := ent.NewSignalBus(senders, outbox.Option())
	require.NoError(t, err)
	client := openSQLite(filepath.Join(t.TempDir(), "shop.db"), bus)
	require.NoError(t, client.Schema.Create(t.Context()))
	_, err = placeOrder(t.Context(), client, "Ada")
	require.NoError(t, err)
	require.Equal(t, "Ada", entsignaltest.One[*ent.OrderPlaced](outbox).Customer)
}

// end snippet

// openKit returns a client whose signals the outbox gets.
func openKit(t *testing.T) (*ent.Client, *entsignaltest.Outbox) {
	t.Helper()
	senders, outbox := entsignaltest.Senders[ent.SignalSenders](t)
	bus, err := ent.NewSignalBus(senders, outbox.Option())
	require.NoError(t, err)
	client := openSQLite(filepath.Join(t.TempDir(), "shop.db"), bus)
	t.Cleanup(func() { client.Close() })
	require.NoError(t, client.Schema.Create(t.Context()))
	return client, outbox
}

// fatal stands for a test that fails.
type fatal struct {
	testing.TB
	text string
}

func (f *fatal) Helper() {}

func (f *fatal) Fatalf(format string, args ...any) {
	f.text = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

func TestFailureOfTheShortestTestIsTheOneThatThePageShows(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(repo, "docs/testing.md"))
	require.NoError(t, err)
	client, outbox := openKit(t)
	client.Order.Create().SetCustomer("Ada").ExecX(t.Context()) // the service forgets the signal
	client.ShipmentDue.Create().SetCustomer("Ada").SetPriority(1).ExecX(t.Context())
	f := &fatal{TB: t}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		entsignaltest.One[*ent.OrderPlaced](outbox.For(f))
	}()
	<-ended
	require.NotEmpty(t, f.text)
	assert.Contains(t, string(page), "```text\n"+f.text+"\n```")
}

func TestFaultsOfThePage(t *testing.T) {
	client, outbox := openKit(t)
	// snippet: testing_faults
	fault := entsignaltest.FailNth[*ent.OrderPlaced](outbox, 1, errors.New("refused"))
	_, err := placeOrder(t.Context(), client, "Ada")
	require.NoError(t, err) // the order stands, whatever the broker says
	entsignaltest.None[*ent.OrderPlaced](outbox)
	assert.Equal(t, 1, fault.Struck())

	require.NoError(t, outbox.Drain(t.Context())) // what a flush does later
	entsignaltest.One[*ent.OrderPlaced](outbox)
	// end snippet
}

func TestRepeatOfThePage(t *testing.T) {
	client, outbox := openKit(t)
	handled := make(map[string]int)
	consume := func(id string, s *ent.OrderPlaced) { handled[id] = s.OrderID }
	// snippet: testing_repeat
	entsignaltest.LoseConfirm[*ent.OrderPlaced](outbox, 1)
	_, err := placeOrder(t.Context(), client, "Ada")
	require.NoError(t, err)
	require.NoError(t, outbox.Drain(t.Context()))

	batches := entsignaltest.Batches[*ent.OrderPlaced](outbox)
	require.Len(t, batches, 2) // the message was stored, and is sent again
	for _, batch := range batches {
		consume(batch.Items[0].ID, batch.Signals[0]) // with the same id
	}
	// end snippet
	assert.Len(t, handled, 1)
}

func TestDatabaseFaultsOfThePage(t *testing.T) {
	senders, outbox := entsignaltest.Senders[ent.SignalSenders](t)
	bus, err := ent.NewSignalBus(senders, outbox.Option())
	require.NoError(t, err)
	test := database(t, testdb.PostgreSQL)
	db, err := sql.Open("postgres", test.DSN)
	require.NoError(t, err)
	t.Cleanup(func() { db.Close() })
	// snippet: testing_database
	drv, broken := entsignaltest.Driver(t, entsql.OpenDB(dialect.Postgres, db))
	client := ent.NewClient(ent.Driver(drv), ent.WithSignalBus(bus))

	fault := broken.LoseCommit(1)
	_, err = placeOrder(t.Context(), client, "Ada")
	require.ErrorIs(t, err, entsignaltest.ErrConnectionLost) // and yet it is committed
	assert.Equal(t, 1, fault.Struck())
	entsignaltest.None[*ent.OrderPlaced](outbox)

	require.NoError(t, outbox.Drain(t.Context()))
	entsignaltest.One[*ent.OrderPlaced](outbox)
	// end snippet
}

// announce is the sender of the page.
func announce(pub *rabbitmq.Publisher) entsignal.Sender[*ent.OrderPlaced] {
	return rabbitmq.Sender(pub, func(s *ent.OrderPlaced) (rabbitmq.Message, error) {
		body, err := json.Marshal(map[string]any{"order_id": s.OrderID, "customer": s.Customer})
		return rabbitmq.Message{Exchange: "shop.orders", RoutingKey: "placed", Body: body}, err
	})
}

func TestMessageOfThePage(t *testing.T) {
	// snippet: testing_message
	pub, broker, err := rabbitmq.NewRecorder(rabbitmq.WithAppID("shop"))
	require.NoError(t, err)
	send := announce(pub) // your sender, that rabbitmq.Sender has made

	msgs, err := rabbitmq.Encode(t.Context(), send, &ent.OrderPlaced{ID: 7, OrderID: 1, Customer: "Ada"})
	require.NoError(t, err)
	assert.Equal(t, "shop.orders", msgs[0].Exchange)
	assert.Equal(t, "placed", msgs[0].RoutingKey)
	assert.Equal(t, "OrderPlaced:7", msgs[0].MessageID)
	assert.JSONEq(t, `{"order_id": 1, "customer": "Ada"}`, string(msgs[0].Body))
	// end snippet
	assert.Empty(t, broker.Messages())
	require.NoError(t, send(t.Context(), []*ent.OrderPlaced{{ID: 7}}))
	assert.Len(t, broker.Messages(), 1)
}

// The clock of a bubble goes on when all of its goroutines wait.
func TestTimeOfThePage(t *testing.T) {
	// snippet: testing_time
	synctest.Test(t, func(t *testing.T) {
		client, outbox := openKit(t) // its pool, too, is opened within the bubble
		back := entsignaltest.Away[*ent.OrderPlaced](outbox)
		for range 4 {
			_, err := placeOrder(t.Context(), client, "Ada")
			require.NoError(t, err)
		}
		back()
		time.Sleep(time.Minute) // takes no time, and the pause of the autoflush is over
		_, err := placeOrder(t.Context(), client, "Bob")
		require.NoError(t, err)
		assert.Equal(t, "Bob", entsignaltest.One[*ent.OrderPlaced](outbox).Customer)
	})
	// end snippet
}

// queue is a broker of the page's.
type queue struct {
	mu  sync.Mutex
	got []entsignaltest.Received
}

func openQueue(testing.TB) *queue { return &queue{} }

func (q *queue) put(ctx context.Context, s *entsignaltest.Signal) error {
	if s.Fail != nil {
		return s.Fail
	}
	id := ""
	if batch, ok := entsignal.BatchFromContext(ctx); ok {
		id = batch.Signal.Name + ":" + batch.Items[0].ID
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.got = append(q.got, entsignaltest.Received{Text: s.Text, MessageID: id})
	return nil
}

func (q *queue) received(testing.TB) []entsignaltest.Received {
	q.mu.Lock()
	defer q.mu.Unlock()
	return append([]entsignaltest.Received(nil), q.got...)
}

// snippet: testing_contract

func TestSenderKeepsToItsContract(t *testing.T) {
	entsignaltest.TestSender(t, entsignaltest.SenderCase{
		Open: func(t testing.TB) entsignaltest.SenderUnderTest {
			queue := openQueue(t) // empty, and used by nobody else
			return entsignaltest.SenderUnderTest{
				Sender:   entsignal.Each(queue.put),
				Received: queue.received,
			}
		},
	})
}

// end snippet

func openEmptyDatabase(t testing.TB) *sql.DB { return testdb.New(t, testdb.SQLite).Open(t) }

// snippet: testing_contract_database

func TestDatabaseKeepsToItsContract(t *testing.T) {
	entsignaltest.TestDatabase(t, func(t testing.TB) dialect.Driver {
		return entsql.OpenDB(dialect.SQLite, openEmptyDatabase(t))
	})
}

// end snippet
