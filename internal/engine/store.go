package engine

import (
	"context"
	"errors"
	"fmt"

	"entgo.io/ent/dialect"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/internal/database"
	"github.com/entsignal/signalbus/internal/entdriver"
)

// store is the database in which a bus finds its signals.
type store struct {
	database.Dialect
	driver dialect.Driver
	detach func(context.Context) context.Context
}

// store returns the database of the bound client, or ErrUnbound.
func (e *Engine) store() (store, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.client == nil {
		return store{}, entsignal.ErrUnbound
	}
	// The client's options run before its driver is set.
	driver := e.client.Driver()
	if driver == nil {
		return store{}, entsignal.ErrUnbound
	}
	if e.db == nil {
		db, err := database.New(driver)
		if err != nil {
			return store{}, fmt.Errorf("entsignal: %w", err)
		}
		e.db = db
	}
	return store{Dialect: e.db, driver: driver, detach: e.client.Detach}, nil
}

// vouchesFor reports whether the application has declared drv to commit what it
// executes; see [entsignal.WithAutocommitDriver].
func (e *Engine) vouchesFor(drv dialect.Driver) bool {
	if !e.autocommit || entdriver.IsTx(drv) {
		return false
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.client != nil && entdriver.IsLike(drv, e.client.Driver())
}

// begin starts a call that sends signals. It returns the context of the call, which
// also ends when the bus closes, the database, and a function to call at the end.
func (e *Engine) begin(ctx context.Context) (context.Context, store, func(), error) {
	if err := e.life.Enter(); err != nil {
		return ctx, store{}, nil, err
	}
	st, err := e.store()
	if err == nil && st.Exclusive() && e.deferredOf(ctx) != nil {
		err = errors.New("entsignal: a sender can't flush on SQLite, where only one flush runs at a time; signals that it commits are sent when this flush is done")
	}
	if err != nil {
		e.life.Leave()
		return ctx, store{}, nil, err
	}
	inner, end := e.life.UntilClosed(withFlush(st.detach(ctx), ctx))
	inner, next := e.withDeferred(inner)
	return inner, st, func() {
		defer e.life.Leave()
		defer end()
		for created := next(); created != nil; created = next() {
			if e.life.IsClosed() {
				e.report(context.WithoutCancel(ctx), entsignal.ErrClosed)
				continue
			}
			e.autoFlush(ctx, created)
		}
	}, nil
}

type flushKey struct{}

// withFlush returns the context of a batch, which carries the context of its flush.
func withFlush(ctx, flush context.Context) context.Context {
	return context.WithValue(ctx, flushKey{}, flush)
}

// endOf returns the error of a batch's context, if that or the context of its flush
// has ended. The sender may know the latter too.
func endOf(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	flush, ok := ctx.Value(flushKey{}).(context.Context)
	if !ok || errors.Is(context.Cause(flush), entsignal.ErrClosed) {
		return nil
	}
	return flush.Err()
}
