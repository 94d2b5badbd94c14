package docs

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/entsignal/pqconn"
	"github.com/entsignal/signalbus/entsignal/rabbitmq"
	"github.com/entsignal/signalbus/integration/docs/ent"
)

// check panics on an error.
func check(err error) {
	if err != nil {
		panic(err)
	}
}

// application is the program of the README's first screen. It leaves open what
// it opens.
func application(ctx context.Context, amqpURL, dsn string) (*entsignal.Bus, *rabbitmq.Publisher, *ent.Client) {
	// snippet: application
	pub, err := rabbitmq.NewPublisher(amqpURL, rabbitmq.WithAppID("shop"))
	check(err)
	bus, err := ent.NewSignalBus(ent.SignalSenders{
		OrderPlaced: rabbitmq.Sender(pub, func(s *ent.OrderPlaced) (rabbitmq.Message, error) {
			body, err := json.Marshal(map[string]any{"order_id": s.OrderID, "customer": s.Customer})
			return rabbitmq.Message{Exchange: "shop.orders", RoutingKey: "placed", Body: body}, err
		}),
		// end snippet
		ShipmentDue: dropShipments,
		// snippet: application
	}, entsignal.WithLogger(slog.Default()))
	check(err)
	db, err := pqconn.Open(dsn) // lib/pq, with deadlines that hold on a dead network
	check(err)
	client := ent.NewClient(ent.Driver(entsql.OpenDB(dialect.Postgres, db)), ent.WithSignalBus(bus))

	tx, err := client.Tx(ctx)
	check(err)
	order := tx.Order.Create().SetCustomer("Ada").SaveX(ctx)
	tx.OrderPlaced.Create().SetOrderID(order.ID).SetCustomer("Ada").ExecX(ctx)
	check(tx.Commit()) // stores both, then sends the message and deletes its row
	// end snippet
	return bus, pub, client
}

func dropShipments(context.Context, []*ent.ShipmentDue) error { return nil }

// flushes calls each flush, and returns what the last one sent and what is
// pending after it.
func flushes(ctx context.Context, bus *entsignal.Bus, client *ent.Client) (int, []entsignal.PendingCount) {
	// snippet: flushes
	_, err := bus.Flush(ctx) // what autoflushes left behind, of all signals
	check(err)
	_, err = bus.FlushMany(ctx, entsignal.Only("OrderPlaced"), entsignal.Workers(4), entsignal.Burst(500))
	check(err)
	sent, err := client.ShipmentDue.FlushOrdered(ctx) // the same, typed: just this signal
	check(err)
	pending, err := bus.Pending(ctx) // how many wait, for each signal
	check(err)
	// end snippet
	return sent, pending
}

const unavailable = http.StatusServiceUnavailable

// hook is where post sends to.
type hook struct{ url string }

// snippet: sender

// post sends one signal. entsignal.Each(h.post) is the sender.
func (h hook) post(ctx context.Context, s *ent.OrderPlaced) error {
	body, err := json.Marshal(map[string]any{"order_id": s.OrderID, "customer": s.Customer})
	if err != nil {
		return entsignal.Permanent(err) // trying again can't help
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	if batch, ok := entsignal.BatchFromContext(ctx); ok {
		req.Header.Set("Idempotency-Key", batch.Signal.Name+":"+batch.Items[0].ID)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return entsignal.Unavailable(err) // don't try the others now
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 {
		return fmt.Errorf("order %d: %s", s.OrderID, resp.Status) // this one stays, the others go on
	}
	return nil
}

// end snippet

// bulk is a broker that takes many messages at once and answers for each.
type bulk interface {
	Store(ctx context.Context, orders []int) ([]error, error)
}

// bulkSender makes a sender for a broker of that kind.
func bulkSender(broker bulk) entsignal.Sender[*ent.OrderPlaced] {
	// snippet: batch
	send := func(ctx context.Context, signals []*ent.OrderPlaced) error {
		ids := make([]int, len(signals))
		for i, s := range signals {
			ids[i] = s.OrderID
		}
		answers, err := broker.Store(ctx, ids)
		if err != nil {
			return err // nothing was sent: all rows stay
		}
		return &entsignal.BatchError{Errors: answers} // one for each signal; nil: sent
	}
	// end snippet
	return send
}

func openSQLite(path string, bus *entsignal.Bus) *ent.Client {
	// snippet: sqlite
	dsn := "file:" + path + "?_txlock=immediate&_pragma=journal_mode(WAL)&_pragma=busy_timeout(5000)&_pragma=foreign_keys(1)"
	db, err := sql.Open("sqlite", dsn) // the driver of modernc.org/sqlite
	check(err)
	client := ent.NewClient(ent.Driver(entsql.OpenDB(dialect.SQLite, db)), ent.WithSignalBus(bus))
	// end snippet
	return client
}

func openPostgres(dsn string, bus *entsignal.Bus) *ent.Client {
	// snippet: pqconn
	db, err := pqconn.Open(dsn, pqconn.WithStatementCache(100))
	check(err)
	client := ent.NewClient(ent.Driver(entsql.OpenDB(dialect.Postgres, db)), ent.WithSignalBus(bus))
	// end snippet
	return client
}

// placeOrder records an order and its signal in one transaction.
func placeOrder(ctx context.Context, client *ent.Client, customer string) (*ent.Order, error) {
	// snippet: atomic
	order, err := ent.InTx(ctx, client, func(ctx context.Context, tx *ent.Tx) (*ent.Order, error) {
		order, err := tx.Order.Create().SetCustomer(customer).Save(ctx)
		if err != nil {
			return nil, err
		}
		return order, tx.OrderPlaced.Create().SetOrderID(order.ID).SetCustomer(customer).Exec(ctx)
	})
	// end snippet
	return order, err
}

// rename changes what it has read.
func rename(ctx context.Context, client *ent.Client, id int, change func(string) string) error {
	// snippet: lock
	err := client.Atomic(ctx, func(ctx context.Context, tx *ent.Tx) error {
		order, err := tx.Order.Lock(ctx, id)
		if err != nil {
			return err
		}
		return order.Update().SetCustomer(change(order.Customer)).Exec(ctx)
	}, entsignal.Isolation(sql.LevelReadCommitted), entsignal.Retries(3))
	// end snippet
	return err
}

// shutdown ends the program of the README's first screen.
func shutdown(ctx context.Context, bus *entsignal.Bus, pub *rabbitmq.Publisher, client *ent.Client) error {
	// snippet: shutdown
	// The bus finishes its current batches first; then nothing needs the others.
	return errors.Join(bus.Close(ctx), pub.Close(ctx), client.Close())
	// end snippet
}

// relay runs the relay in the application.
func relay(ctx context.Context, bus *entsignal.Bus, log *slog.Logger) {
	// snippet: relay
	// Run returns when ctx ends or the bus is closed, after the batches in hand.
	go func() {
		if err := bus.Run(ctx); err != nil {
			log.Error("the relay can't run", "error", err)
		}
	}()
	// end snippet
}

// awaited returns a bus that is woken by other processes.
func awaited(dsn string, senders ent.SignalSenders) *entsignal.Bus {
	// snippet: wakeup
	wakeUp, err := pqconn.NewWakeUp(dsn)
	check(err)
	bus, err := ent.NewSignalBus(senders, entsignal.WithWakeUp(wakeUp))
	check(err)
	// end snippet
	return bus
}

// clustered returns a publisher for a cluster.
func clustered(amqpURL string) (*rabbitmq.Publisher, error) {
	// snippet: nodes
	pub, err := rabbitmq.NewPublisher(amqpURL, rabbitmq.WithAddresses("b.example.com", "c.example.com:5673"))
	// end snippet
	return pub, err
}

// snippet: consumer

// handle applies a message once, however often it arrives. The transaction that
// applies it also stores its ids, in the table "handled", which has the primary
// key (app_id, message_id).
func handle(ctx context.Context, db *sql.DB, d amqp.Delivery, apply func(*sql.Tx) error) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // after a commit there is nothing to roll back
	stored, err := tx.ExecContext(ctx,
		"INSERT INTO handled (app_id, message_id) VALUES ($1, $2) ON CONFLICT DO NOTHING", d.AppId, d.MessageId)
	if err != nil {
		return err
	}
	if n, err := stored.RowsAffected(); err != nil || n == 0 {
		return err // n == 0: a repeat
	}
	if err := apply(tx); err != nil {
		return err
	}
	return tx.Commit() // acknowledge the message after this, and only then
}

// end snippet
