package database

import (
	"context"
	"sync"
	"time"

	"entgo.io/ent/dialect"
)

// An Order describes whether a flush by id sends each row before all rows with
// higher ids, even if transactions commit in another order than they draw ids.
type Order struct {
	// Reason is why it doesn't, as a text for people. It is empty if it does.
	Reason string
	// Sequence is where the ids come from, if they are drawn in order but before they are
	// committed. Then a flush has to watch it. It must not be used if there is a Reason.
	Sequence *Sequence

	sequence int64 // the oid of the first sequence that the ids depend on, 0 if there is none
}

// A Watermark is one look at a sequence and the table whose ids it gives.
type Watermark struct {
	Low    int64 // no row with this id or a lower one can be committed anymore
	Last   int64 // the id that was drawn last
	Rows   bool  // whether there are rows above the id that was asked for
	Bottom int64 // the lowest id of those
	Top    int64 // the highest one; above Last only if it wasn't drawn from the sequence
}

// Waiting describes which rows wait for open transactions.
type Waiting struct {
	Rows        int
	First, Last int64 // the lowest and the highest id
	By          []Blocker
}

// A Blocker is a transaction that may still commit a lower id. Fields that the
// database doesn't show to this user are empty.
type Blocker struct {
	PID         int    // 0 for a prepared transaction
	GID         string // the name of a prepared transaction
	User        string
	Application string
	State       string
	Wrote       bool          // whether it has written anything yet
	Age         time.Duration // since the transaction began, or was prepared
}

// Order implements [Dialect].
func (l *locking) Order(ctx context.Context, drv dialect.Driver, t Table) (Order, error) {
	return l.orders.of(t, func() (Order, error) { return l.order(ctx, drv, t) }, func(o Order) (string, error) {
		if l.orderStamp == nil {
			return "", nil
		}
		return l.orderStamp(ctx, drv, t, o)
	})
}

// orders remembers the orders of tables, because finding one out takes the server a multiple of
// what a flush of nothing takes.
type orders struct{ m sync.Map }

type knownOrder struct {
	Order
	stamp string // changes when the order may have changed
}

// of returns the order of a table. learn finds it out, and stamp returns its stamp. An order without
// a stamp never changes.
func (o *orders) of(t Table, learn func() (Order, error), stamp func(Order) (string, error)) (Order, error) {
	if known, ok := o.m.Load(t); ok {
		known := known.(knownOrder)
		now, err := stamp(known.Order)
		if err == nil && now == known.stamp {
			return known.Order, nil
		}
		o.m.Delete(t)
	}
	first, err := learn()
	if err != nil {
		return first, err
	}
	now, err := stamp(first)
	if err != nil { // such as of a server that only speaks PostgreSQL's protocol
		return first, nil
	}
	// What changed before the stamp was taken shows now.
	again, err := learn()
	if err == nil && again.Reason == first.Reason && (again.Sequence == nil) == (first.Sequence == nil) && (first.Sequence == nil || *again.Sequence == *first.Sequence) {
		o.m.Store(t, knownOrder{first, now})
	}
	return again, err
}

// orderMySQL returns the same for every table. An ordered flush waits for rows that
// are inserted but not committed. Measured on MariaDB, 1 of 5215 rows overtook a
// row whose id was drawn but which wasn't inserted yet.
func orderMySQL(context.Context, dialect.Driver, Table) (Order, error) {
	return Order{Reason: "MySQL and MariaDB don't show which ids are drawn but not committed yet"}, nil
}

// Order implements [Dialect]. SQLite has one writer at a time, so the ids are in the order of the
// commits.
func (s *sqlite) Order(context.Context, dialect.Driver, Table) (Order, error) {
	return Order{}, nil
}
