// Command quickstart shows in four acts what a signal bus does. Its sender prints.
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
	var line error // nil while the line to the world outside is up
	send := func(_ context.Context, s *ent.OrderPlaced) error {
		if line == nil {
			fmt.Println("   sent: order", s.OrderID)
		}
		return line
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
	fmt.Println("3. The line is down, and Eve orders. The commit succeeds, the signal waits:")
	line = fmt.Errorf("the line is down")
	check(order("Eve").Commit())
	fmt.Println("   waiting:", client.OrderPlaced.Query().CountX(ctx))
	fmt.Println("4. The line is up again. A flush sends what waits:")
	line = nil
	_, err = bus.Flush(ctx, entsignal.Wait(0))
	check(err)
	check(client.Close())
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
