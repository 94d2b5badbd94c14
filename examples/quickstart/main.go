// Command quickstart shows what a signal bus does, in four acts, with SQLite
// and a sender that prints.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
	_ "modernc.org/sqlite"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/examples/quickstart/ent"
)

func main() {
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	// The sender of an application hands the message to a broker. This one
	// prints it, unless the line is down.
	down := false
	send := func(_ context.Context, s *ent.OrderPlaced) error {
		if down {
			return errors.New("the line is down")
		}
		fmt.Printf("   sent: order %d of %s\n", s.OrderID, s.Customer)
		return nil
	}
	bus, err := ent.NewSignalBus(ent.SignalSenders{OrderPlaced: entsignal.Each(send)})
	if err != nil {
		return err
	}

	dir, err := os.MkdirTemp("", "quickstart")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	dsn := "file:" + filepath.Join(dir, "shop.db") + "?_txlock=immediate&_pragma=journal_mode(WAL)&_pragma=busy_timeout(5000)&_pragma=foreign_keys(1)"
	drv, err := entsql.Open("sqlite", dsn)
	if err != nil {
		return err
	}
	client := ent.NewClient(ent.Driver(entsql.OpenDB(dialect.SQLite, drv.DB())), ent.WithSignalBus(bus))
	defer client.Close()
	if err := client.Schema.Create(ctx); err != nil {
		return err
	}

	fmt.Println("1. A commit sends what it recorded:")
	if err := placeOrder(ctx, client, "Ada", (*ent.Tx).Commit); err != nil {
		return err
	}
	fmt.Println("2. A rollback sends nothing:")
	if err := placeOrder(ctx, client, "Bob", (*ent.Tx).Rollback); err != nil {
		return err
	}
	fmt.Println("3. The line is down. The commit succeeds, and the signal waits:")
	down = true
	if err := placeOrder(ctx, client, "Eve", (*ent.Tx).Commit); err != nil {
		return err
	}
	fmt.Printf("   pending: %d\n", client.OrderPlaced.Query().CountX(ctx))

	fmt.Println("4. The line is back. A flush sends what waits:")
	down = false
	n, err := bus.Flush(ctx, entsignal.Wait(0))
	fmt.Printf("   flushed: %d, pending: %d\n", n, client.OrderPlaced.Query().CountX(ctx))
	return err
}

// placeOrder records an order and its message in one transaction.
func placeOrder(ctx context.Context, client *ent.Client, customer string, end func(*ent.Tx) error) error {
	tx, err := client.Tx(ctx)
	if err != nil {
		return err
	}
	order, err := tx.Order.Create().SetCustomer(customer).Save(ctx)
	if err != nil {
		return errors.Join(err, tx.Rollback())
	}
	if err := tx.OrderPlaced.Create().SetOrderID(order.ID).SetCustomer(customer).Exec(ctx); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return end(tx)
}
