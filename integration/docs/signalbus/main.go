// Command signalbus is what a project builds for its operators: the command
// group with the project's own senders. Its sender prints.
package main

import (
	"context"
	"database/sql"
	"fmt"
	"os"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
	_ "modernc.org/sqlite"

	"github.com/entsignal/signalbus/cmd/signalcli"
	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/integration/docs/ent"
)

// snippet: commands

func main() {
	os.Exit(signalcli.ExitCode(signalcli.Command(open).Execute()))
}

// open is called when a command needs the bus; the function that it returns
// is called at the end.
func open(context.Context) (*entsignal.Bus, func() error, error) {
	bus, err := ent.NewSignalBus(senders())
	if err != nil {
		return nil, nil, err
	}
	db, err := sql.Open("sqlite", os.Getenv("SHOP_DSN"))
	if err != nil {
		return nil, nil, err
	}
	client := ent.NewClient(ent.Driver(entsql.OpenDB(dialect.SQLite, db)), ent.WithSignalBus(bus))
	return bus, client.Close, nil
}

// end snippet

func senders() ent.SignalSenders {
	return ent.SignalSenders{
		OrderPlaced: entsignal.Each(func(_ context.Context, s *ent.OrderPlaced) error {
			_, err := fmt.Println("order", s.OrderID)
			return err
		}),
		ShipmentDue: entsignal.Each(func(_ context.Context, s *ent.ShipmentDue) error {
			_, err := fmt.Println("shipment for", s.Customer)
			return err
		}),
	}
}
