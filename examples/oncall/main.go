// Command oncall shows the page for the person on call with something to see: a shop
// with a little traffic, messages that fail, and a broker that goes away and comes back.
// It needs no service and no file: the database is in a folder that is removed at the
// end, and the broker is a pretence.
package main

import (
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"time"

	entsql "entgo.io/ent/dialect/sql"
	_ "modernc.org/sqlite"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/entsignal/signalweb"
	"github.com/entsignal/signalbus/examples/oncall/ent"
)

func main() {
	address := flag.String("listen", "127.0.0.1:8080", "where to serve the page")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	listener, err := net.Listen("tcp", *address)
	if err == nil {
		fmt.Printf("The page is at http://%s/ until you press Ctrl-C.\n", listener.Addr())
		fmt.Println("The broker is away for 20 seconds of each minute. Some messages fail: retry or discard them.")
		err = run(ctx, listener)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "oncall:", err)
		os.Exit(1)
	}
}

// run serves the page of a shop until ctx ends.
func run(ctx context.Context, listener net.Listener) error {
	dir, err := os.MkdirTemp("", "oncall")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "shop.db")+"?_txlock=immediate&_pragma=journal_mode(WAL)&_pragma=busy_timeout(5000)&_pragma=foreign_keys(1)")
	if err != nil {
		return err
	}
	b := &broker{began: time.Now()}
	bus, err := ent.NewSignalBus(ent.SignalSenders{
		OrderPlaced:   entsignal.Each(b.sendOrder),
		InvoiceIssued: entsignal.Each(b.sendInvoice),
		StockMoved:    entsignal.Each(b.sendStock),
	})
	if err != nil {
		return err
	}
	client := ent.NewClient(ent.Driver(entsql.OpenDB("sqlite3", db)), ent.WithSignalBus(bus))
	defer client.Close()
	if err := client.Schema.Create(ctx); err != nil {
		return err
	}

	// Everybody who reaches the page may act: it is a demo, on this machine only.
	page := signalweb.Handler(bus, signalweb.ShowFields(), signalweb.Authorize(func(*http.Request) signalweb.Access { return signalweb.Full }))
	server := &http.Server{Handler: page, ReadHeaderTimeout: 5 * time.Second, BaseContext: func(net.Listener) context.Context { return ctx }}
	var all sync.WaitGroup
	all.Go(func() { _ = server.Serve(listener) })
	all.Go(func() { trade(ctx, client) })
	err = bus.Run(ctx) // the relay
	if closing := server.Close(); !errors.Is(closing, http.ErrServerClosed) {
		err = errors.Join(err, closing)
	}
	all.Wait()
	return errors.Join(err, bus.Close(context.WithoutCancel(ctx)))
}

// trade records what happens in the shop, until ctx ends.
func trade(ctx context.Context, client *ent.Client) {
	customers := []string{"Ada", "Bob", "Eve", "Grace", "Linus"}
	articles := []string{"tea", "coffee", "mugs"}
	for n := 1; ctx.Err() == nil; n++ {
		_ = client.Atomic(ctx, func(ctx context.Context, tx *ent.Tx) error {
			if err := tx.OrderPlaced.Create().SetNumber(n).SetCustomer(customers[n%len(customers)]).Exec(ctx); err != nil {
				return err
			}
			invoice := tx.InvoiceIssued.Create().SetNumber(n)
			if n%45 == 0 {
				invoice.SetCurrency("")
			}
			if err := invoice.Exec(ctx); err != nil {
				return err
			}
			return tx.StockMoved.Create().SetArticle(articles[n%len(articles)]).SetPieces(n % 7).Exec(ctx)
		})
		// Busy and quiet times take turns.
		pause := time.Duration(80+60*(n/40%5)) * time.Millisecond
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
	}
}
