package hooks

import (
	"cmp"
	"context"
	stdsql "database/sql"
	"errors"
	"fmt"
	"reflect"

	"entgo.io/ent/dialect"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/internal/database"
	"github.com/entsignal/signalbus/internal/entdriver"
	"github.com/entsignal/signalbus/internal/option"
	"github.com/entsignal/signalbus/internal/txn"
)

// Transactor is the generated client that InTx is called with.
type Transactor[D any, X Tx] interface {
	// Driver returns the client's driver.
	Driver() dialect.Driver
	// BeginTx starts a transaction.
	BeginTx(ctx context.Context, opts *stdsql.TxOptions) (X, error)
	// Within returns the transaction d, in which the client works.
	Within(d *D) X
}

// InTx runs fn in the transaction of ctx or of the client. If there is none, it
// begins a transaction of its own, commits it if fn returns nil, and runs it again
// after a conflict.
func InTx[D any, X Tx, T any](ctx context.Context, c *Client[D, X], client Transactor[D, X], fn func(context.Context, X) (T, error), opts []entsignal.AtomicOption) (T, error) {
	var none T
	o := txn.Defaults()
	if err := option.Apply(&o, opts); err != nil {
		return none, err
	}
	if tx, leave, ok := c.join(ctx, client); ok {
		defer leave()
		if o.Isolation != nil {
			return none, fmt.Errorf("entsignal: Isolation(%v) in a call that joins an open transaction; only the call that begins it can set its isolation", *o.Isolation)
		}
		return fn(c.txs.NewContext(ctx, tx), tx)
	}
	a := attempts[D, X, T]{client: c, of: client, fn: fn, contender: c.lane.NewContender()}
	var err error
	if a.opts, err = txOptions(o, client.Driver()); err != nil {
		return none, err
	}
	var result T
	err = txn.Run(ctx, o, func(losses int) (again bool, err error) {
		a.contender.Begin(ctx, losses, losses == o.Retries)
		result, again, err = a.try(ctx)
		return again, err
	})
	if err != nil {
		return none, err
	}
	return result, nil
}

// txOptions returns the options of a transaction on the driver's database.
func txOptions(o txn.Options, drv dialect.Driver) (*stdsql.TxOptions, error) {
	if _, err := entdriver.Begins(drv); err != nil {
		return nil, fmt.Errorf("entsignal: %w", err)
	}
	return &stdsql.TxOptions{Isolation: database.AtomicIsolation(drv, o.Isolation), ReadOnly: o.ReadOnly}, nil
}

// scopeKey is the context key of the innermost Atomic transaction of a client.
type scopeKey[D any, X Tx] struct{ client *Client[D, X] }

// join returns the transaction that a call joins, and the function to call when it
// is done with it. A transaction of Atomic that has ended doesn't count: its
// context may outlive it.
func (c *Client[D, X]) join(ctx context.Context, client Transactor[D, X]) (tx X, leave func(), ok bool) {
	var none X
	scope, _ := ctx.Value(scopeKey[D, X]{c}).(*txn.Scope[X])
	if d := c.Transaction(client.Driver()); d != nil {
		if scope != nil && c.driverOf(scope.Tx) == d && scope.Join() {
			return scope.Tx, scope.Leave, true
		}
		return client.Within(d), func() {}, true
	}
	carried := c.txs.FromContext(ctx)
	switch {
	case carried == none:
		return none, nil, false
	case scope != nil && (!c.owns(carried) || c.driverOf(carried) == c.driverOf(scope.Tx)):
		// The transaction of another client may hide ours.
		if !scope.Join() {
			return none, nil, false
		}
		return scope.Tx, scope.Leave, true
	case c.owns(carried):
		return carried, func() {}, true
	default:
		return none, nil, false
	}
}

// joins reports whether a call joins a transaction.
func (c *Client[D, X]) joins(ctx context.Context, client Transactor[D, X]) bool {
	_, leave, ok := c.join(ctx, client)
	if ok {
		leave()
	}
	return ok
}

// owns reports whether the transaction belongs to this client.
func (c *Client[D, X]) owns(tx X) bool {
	owner, _ := c.txs.Of(tx)
	return owner == c
}

func (c *Client[D, X]) driverOf(tx X) *D {
	_, drv := c.txs.Of(tx)
	return c.Transaction(drv)
}

var errNotCommitted = errors.New("a commit hook returned nil without calling the next one")

// attempts are the tries of one call of InTx.
type attempts[D any, X Tx, T any] struct {
	client    *Client[D, X]
	of        Transactor[D, X]
	fn        func(context.Context, X) (T, error)
	opts      *stdsql.TxOptions
	contender *txn.Contender
}

// try runs fn in a new transaction and commits it. It reports whether to try again.
func (a *attempts[D, X, T]) try(ctx context.Context) (result T, again bool, err error) {
	c := a.client
	tx, err := a.of.BeginTx(ctx, a.opts)
	if err != nil {
		a.contender.End()
		return result, entsignal.IsSerializationFailure(err), err
	}
	d := c.driverOf(tx)
	var guard *txn.Guard
	c.txs.Wrap(d, func(inner dialect.Tx) dialect.Tx {
		guard = txn.NewGuard(inner, a.of.Driver().Dialect(), entsignal.IsSerializationFailure, a.contender)
		return guard
	})
	scope := txn.NewScope(tx)
	// Deferred, because fn may panic or end its goroutine.
	defer func() {
		scope.End()
		if committed, _ := guard.Committed(); !committed {
			err = rolledBack(err, tx.Rollback())
			_ = guard.Rollback() // a rollback hook may not have called the next one
		}
	}()

	inner := context.WithValue(ctx, scopeKey[D, X]{c}, scope)
	result, err = a.fn(c.txs.NewContext(inner, tx), tx)
	if err != nil {
		return result, guard.Conflict() || entsignal.IsSerializationFailure(err), err
	}
	scope.Close(ctx)
	guard.AllowCommit()
	err = tx.Commit()
	committed, commitErr := guard.Committed()
	switch {
	case committed && err != nil:
		return result, false, fmt.Errorf("entsignal: the transaction is committed, but a commit hook failed: %w", err)
	case !committed:
		// A hook may have swallowed the error, or not have called the next one.
		err = cmp.Or(err, commitErr, errNotCommitted)
		return result, guard.Conflict() || entsignal.IsSerializationFailure(err), fmt.Errorf("entsignal: commit: %w", txn.WithEnd(ctx, err))
	}
	unwrap(reflect.ValueOf(result), func(v any) { c.txs.Unwrap(d, v) })
	return result, false, nil
}

// rolledBack returns the error of a try, together with that of its rollback unless
// the transaction had already ended.
func rolledBack(err, rollback error) error {
	if err == nil || rollback == nil || errors.Is(rollback, stdsql.ErrTxDone) {
		return err
	}
	return fmt.Errorf("%w (and the rollback failed: %w)", err, rollback)
}

// unwrap calls each with v, or with its elements if it is a slice.
func unwrap(v reflect.Value, each func(any)) {
	switch {
	case !v.IsValid():
	case v.Kind() == reflect.Slice:
		for i := range v.Len() {
			unwrap(v.Index(i), each)
		}
	case v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface:
		if v.CanInterface() && !v.IsNil() {
			each(v.Interface())
		}
	}
}
