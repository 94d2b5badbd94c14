// Command quickstart shows what a signal bus does, in four steps. Its sender prints.
package main

import (
	"context"
	"database/sql"
	"fmt"

	entsql "entgo.io/ent/dialect/sql"
	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/examples/quickstart/ent"
	_ "modernc.org/sqlite"
)

func main() {
	ctx := context.Background()
	var broker error // nil while the broker is up
	send := func(_ context.Context, s *ent.OrderPlaced) error {
		if broker == nil {
			fmt.Println("   sent: order", s.OrderID)
		}
		return broker
	}
	bus, err := ent.NewSignalBus(ent.SignalSenders{OrderPlaced: entsignal.Each(send)})
	check(err)
	db, err := sql.Open("sqlite", "file:shop.db?_txlock=immediate&_pragma=journal_mode(WAL)&_pragma=busy_timeout(5000)&_pragma=foreign_keys(1)")
	check(err)
	client := ent.NewClient(ent.Driver(entsql.OpenDB("sqlite3", db)), ent.WithSignalBus(bus))
	check(client.Schema.Create(ctx))
	// An order and its signal are recorded in one transaction, which is left open.
	order := func(customer string) *ent.Tx {
		tx, err := client.Tx(ctx)
		check(err)
		o := tx.Order.Create().SetCustomer(customer).SaveX(ctx)
		tx.OrderPlaced.Create().SetOrderID(o.ID).ExecX(ctx)
		return tx
	}
	fmt.Println("1. Ada orders. The commit sends the signal:")
	check(order("Ada").Commit())
	fmt.Println("2. Bob orders. The rollback takes the signal back.")
	check(order("Bob").Rollback())
	fmt.Println("3. The broker is down, and Eve orders. The commit succeeds; the signal is pending:")
	broker = fmt.Errorf("the broker is down")
	check(order("Eve").Commit())
	fmt.Println("   pending:", client.OrderPlaced.Query().CountX(ctx))
	fmt.Println("4. The broker is back. A flush sends what is pending:")
	broker = nil
	_, err = bus.Flush(ctx, entsignal.Wait(0))
	check(err)
	check(client.Close())
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
