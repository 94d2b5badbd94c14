// Command transfer moves money between accounts from many sides at once. Each
// transfer is a transaction that is run again when it meets another, and
// records a signal. At the end the books that a receiver kept from the
// messages alone are held against the accounts.
//
// It uses an SQLite database in a temporary folder, or a PostgreSQL database:
//
//	go run ./transfer
//	DATABASE_URL=postgres://user:password@localhost/bank?sslmode=disable go run ./transfer -postgres
package main

import (
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
	_ "modernc.org/sqlite"

	"github.com/entsignal/signalbus/entsignal/pqconn"
	"github.com/entsignal/signalbus/examples/transfer/ent"
)

func main() {
	usePostgres := flag.Bool("postgres", false, "use the PostgreSQL database at DATABASE_URL in place of SQLite")
	flag.Parse()
	postgres := ""
	if *usePostgres {
		// Not a flag: a command line is there for everybody to read.
		if postgres = os.Getenv("DATABASE_URL"); postgres == "" {
			log.Fatal("-postgres: DATABASE_URL is not set")
		}
	}
	if err := run(context.Background(), postgres, os.Stdout); err != nil {
		log.Fatal(err)
	}
}

// open opens the database.
func open(postgres, dir string) (*entsql.Driver, error) {
	if postgres == "" {
		db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "bank.db")+"?_txlock=immediate&_pragma=journal_mode(WAL)&_pragma=busy_timeout(5000)&_pragma=foreign_keys(1)")
		if err != nil {
			return nil, err
		}
		return entsql.OpenDB(dialect.SQLite, db), nil
	}
	connector, err := pqconn.NewConnector(postgres)
	if err != nil {
		return nil, err
	}
	return entsql.OpenDB(dialect.Postgres, sql.OpenDB(connector)), nil
}

// books are kept by a receiver of the messages.
type books struct {
	mu    sync.Mutex
	cents map[int]int
	seen  int
}

func (b *books) receive(_ context.Context, moved []*ent.MoneyMoved) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, m := range moved {
		b.cents[m.From] -= m.Cents
		b.cents[m.To] += m.Cents
		b.seen++
	}
	return nil
}

const (
	accounts  = 5
	start     = 10_000 // cents on each account
	tellers   = 8
	transfers = 50 // of each teller
)

func run(ctx context.Context, postgres string, out io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "transfer")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	driver, err := open(postgres, dir)
	if err != nil {
		return err
	}
	received := &books{cents: make(map[int]int)}
	bus, err := ent.NewSignalBus(ent.SignalSenders{MoneyMoved: received.receive})
	if err != nil {
		return err
	}
	client := ent.NewClient(ent.Driver(driver), ent.WithSignalBus(bus))
	defer func() { err = errors.Join(err, client.Close()) }()
	if err := client.Schema.Create(ctx); err != nil {
		return err
	}
	opened, err := ent.InTx(ctx, client, func(ctx context.Context, tx *ent.Tx) ([]*ent.Account, error) {
		return tx.Account.MapCreateBulk(make([]struct{}, accounts), func(c *ent.AccountCreate, _ int) { c.SetCents(start) }).Save(ctx)
	})
	if err != nil {
		return err
	}
	for _, a := range opened {
		received.cents[a.ID] = start
	}

	made, refused, err := load(ctx, client, opened)
	if err != nil {
		return err
	}
	if err := bus.Close(ctx); err != nil {
		return err
	}
	cents, err := balances(ctx, client)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%d transfers: %d made, %d refused, %d messages\n", tellers*transfers, made, refused, received.seen)
	if received.seen != made || !maps.Equal(cents, received.cents) {
		return fmt.Errorf("the accounts have %v, the messages say %v", cents, received.cents)
	}
	fmt.Fprintln(out, "the accounts agree with the messages")
	return nil
}

// load makes the transfers of all tellers.
func load(ctx context.Context, client *ent.Client, between []*ent.Account) (made, refused int, err error) {
	var (
		wg sync.WaitGroup
		mu sync.Mutex
	)
	for range tellers {
		wg.Go(func() {
			for range transfers {
				ends := rand.Perm(len(between))
				failed := transfer(ctx, client, between[ends[0]].ID, between[ends[1]].ID, 1+rand.IntN(start))
				mu.Lock()
				switch {
				case failed == nil:
					made++
				case errors.Is(failed, errTooLittle):
					refused++
				default:
					err = errors.Join(err, failed)
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return made, refused, err
}
