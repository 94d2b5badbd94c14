package entsignaltest

import (
	stdsql "database/sql"
	"fmt"
	"net"
	"regexp"
	"slices"
	"sync"
	"syscall"
	"testing"

	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/sql"

	"github.com/entsignal/signalbus/internal/entdriver"
)

// ErrConnectionLost is the error of the faults of a [Database]. It wraps the error
// of a connection reset.
var ErrConnectionLost = fmt.Errorf("entsignaltest: the connection is lost: %w", &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET})

// Database makes transactions of a [Driver] fail. Its methods are safe for
// concurrent use.
type Database struct {
	t testing.TB

	mu     sync.Mutex
	faults []*commitFault
}

// commitFault makes one commit fail.
type commitFault struct {
	*Fault
	left    int // commits until it strikes
	deletes bool
	done    bool // whether the commit is carried out
}

// Driver returns a driver like drv whose transactions fail as the [Database] says.
// drv must be ent's own driver over a *sql.DB, of any database and with any driver
// of database/sql. The new driver uses the connections of drv, which must stay open
// until the end of the test.
//
//	drv, database := entsignaltest.Driver(t, entsql.OpenDB(dialect.Postgres, db))
//	client := ent.NewClient(ent.Driver(drv), ent.WithSignalBus(bus))
func Driver(t testing.TB, drv dialect.Driver) (dialect.Driver, *Database) {
	t.Helper()
	d := &Database{t: t}
	pool, ok := entdriver.Executor(drv).(*stdsql.DB)
	if !ok {
		t.Fatalf("entsignaltest: Driver: %s; expected ent's driver over a *sql.DB", entdriver.Name(drv))
		return drv, d
	}
	outer := stdsql.OpenDB(&connector{pool: pool, database: d})
	outer.SetMaxOpenConns(pool.Stats().MaxOpenConnections)
	outer.SetMaxIdleConns(-1) // they are idle in the pool below
	t.Cleanup(func() { _ = outer.Close() })
	return sql.OpenDB(drv.Dialect(), outer), d
}

// LoseCommit makes the answer of the n-th commit from now on get lost; n counts
// from 1. The transaction is committed, but the program gets [ErrConnectionLost].
// Only transactions that write count, and statements that write outside a
// transaction. In a program that commits a signal with autoflush on, the first
// commit is its own, and the second one deletes the signal after it was sent.
func (d *Database) LoseCommit(n int) *Fault {
	d.t.Helper()
	return d.add("LoseCommit", n, false, true)
}

// LoseDelete makes the connection break between the broker's confirm and the
// deletion of the signal. The n-th transaction from now on that deletes rows is not
// committed, and the program gets [ErrConnectionLost]; n counts from 1. On all
// databases except SQLite, the next flush then sends the message again. On SQLite
// the process remembers what it has sent, and the next flush only deletes it.
func (d *Database) LoseDelete(n int) *Fault {
	d.t.Helper()
	return d.add("LoseDelete", n, true, false)
}

func (d *Database) add(name string, n int, deletes, done bool) *Fault {
	d.t.Helper()
	if n < 1 {
		d.t.Fatalf("entsignaltest: %s: transaction %d; expected a number of 1 or more", name, n)
		return stillborn()
	}
	c := &commitFault{left: n, deletes: deletes, done: done}
	c.Fault = &Fault{onStop: func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.faults = slices.DeleteFunc(d.faults, func(other *commitFault) bool { return other == c })
	}}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.faults = append(d.faults, c)
	return c.Fault
}

// commit returns the fault for the commit of a transaction, or nil.
func (d *Database) commit(x transaction) (strikes *commitFault) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, f := range d.faults {
		if !x.wrote || f.deletes && !x.deleted || f.left == 0 {
			continue
		}
		if f.left--; f.left == 0 && strikes == nil {
			strikes = f
		}
	}
	return strikes
}

var (
	writes  = regexp.MustCompile(`(?i)\b(INSERT|UPDATE|DELETE|REPLACE|MERGE)\b`)
	deletes = regexp.MustCompile(`(?i)\bDELETE\b`)
	// Statements that contain one of these words but neither write nor delete.
	others = regexp.MustCompile(`(?i)\bFOR\s+(NO\s+KEY\s+)?UPDATE\b|\bON\s+(DELETE|UPDATE)\b`)
)

// transaction is what a transaction has done so far.
type transaction struct{ wrote, deleted bool }

func (x *transaction) note(query string) {
	query = others.ReplaceAllString(query, "")
	x.wrote = x.wrote || writes.MatchString(query)
	x.deleted = x.deleted || deletes.MatchString(query)
}
