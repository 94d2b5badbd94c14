package main

import (
	"context"
	"errors"
	"sync/atomic"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/integration/bench/ent"
)

// entCommit measures the same transactions of a client without a bus: what is
// ent's part of an autoflush.
func entCommit(ctx context.Context, j job, m *meter) error {
	drv, err := driver(j)
	if err != nil {
		return err
	}
	a := application{Client: ent.NewClient(ent.Driver(drv))}
	body := makeBody(j.Size)
	err = commits(ctx, j, m, func(ctx context.Context) error { return a.order(ctx, body) })
	return errors.Join(err, a.Client.Close())
}

// autoflush measures transactions of ent that write one business row and one
// signal, which their commit sends.
func autoflush(ctx context.Context, j job, m *meter) error {
	return autoflushWith(ctx, j, m)
}

// autoflushAsync measures the same with commits that don't wait for the
// broker. The clock stops when the queue is empty, and not with the last commit.
func autoflushAsync(ctx context.Context, j job, m *meter) error {
	const queue = 10_000
	return autoflushWith(ctx, j, m, entsignal.WithAsync(queue))
}

func autoflushWith(ctx context.Context, j job, m *meter, opts ...entsignal.BusOption) error {
	return autoflushOf(ctx, j, m, (*application).order, opts...)
}

// autoflushOf measures transactions that order makes.
func autoflushOf(ctx context.Context, j job, m *meter, order func(*application, context.Context, []byte) error, opts ...entsignal.BusOption) error {
	var failure atomic.Pointer[error]
	a, err := open(j, 1, append(opts, entsignal.WithErrorHandler(func(_ context.Context, err error) {
		failure.CompareAndSwap(nil, &err)
	}))...)
	if err != nil {
		return err
	}
	body := makeBody(j.Size)
	err = commitsUntil(ctx, j, m, func(ctx context.Context) error { return order(a, ctx, body) }, func() error { return a.bus.Close(ctx) })
	if p := failure.Load(); p != nil {
		err = errors.Join(err, *p)
	}
	return errors.Join(err, a.close())
}

// order records an order and its event.
func (a *application) order(ctx context.Context, body []byte) error {
	_, err := a.orderOf(ctx, body)
	return err
}

// orderOf is order, and returns the id of the order.
func (a *application) orderOf(ctx context.Context, body []byte) (int, error) {
	return a.orderWith(ctx, func(ctx context.Context, tx *ent.Tx, order int) error {
		return tx.Event.Create().SetOrderID(order).SetPayload(body).Exec(ctx)
	})
}

// orderWith records an order and a signal, in one transaction.
func (a *application) orderWith(ctx context.Context, record func(ctx context.Context, tx *ent.Tx, order int) error) (int, error) {
	tx, err := a.Tx(ctx)
	if err != nil {
		return 0, err
	}
	defer tx.Rollback() //nolint:errcheck // after a commit there is nothing to roll back
	order, err := tx.Order.Create().SetCustomer(customer).Save(ctx)
	if err != nil {
		return 0, err
	}
	if err := record(ctx, tx, order.ID); err != nil {
		return 0, err
	}
	return order.ID, tx.Commit()
}
