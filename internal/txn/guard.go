package txn

import (
	"context"
	stdsql "database/sql"
	"errors"
	"fmt"
	"sync"

	"entgo.io/ent/dialect"
)

// Guard is the database's transaction of one try, as ent's builders see it.
//
// It remembers a conflict: what the function does after it is of no use, even
// when it swallows the error. MySQL has rolled back by then, and would run the
// statements that follow outside of any transaction; so they fail.
type Guard struct {
	tx         dialect.Tx
	isConflict func(error) bool
	ended      func()

	mu        sync.Mutex
	conflict  error
	failed    error // of the first statement that failed otherwise
	mayCommit bool
	committed bool
}

// NewGuard returns the guard of tx. It calls ended when the database has
// committed or rolled back.
func NewGuard(tx dialect.Tx, isConflict func(error) bool, ended func()) *Guard {
	return &Guard{tx: tx, isConflict: isConflict, ended: sync.OnceFunc(ended)}
}

// Conflict returns the conflict that ended the transaction, or nil.
func (g *Guard) Conflict() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.conflict
}

// AllowCommit is called when the function is done.
func (g *Guard) AllowCommit() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.mayCommit = true
}

// Committed reports whether the database has confirmed the commit.
func (g *Guard) Committed() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.committed
}

// Commit implements driver.Tx.
func (g *Guard) Commit() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case !g.mayCommit:
		return errors.New("entsignal: Atomic commits the transaction when its function has returned nil; the function can't")
	case g.conflict != nil:
		return g.conflict
	}
	err := g.tx.Commit()
	g.ended()
	g.committed = err == nil
	if err != nil && g.failed != nil {
		return fmt.Errorf("%w; a statement had failed before: %w", err, g.failed)
	}
	return err
}

// Rollback implements driver.Tx.
func (g *Guard) Rollback() error {
	defer g.ended()
	return g.tx.Rollback()
}

// Exec implements [dialect.ExecQuerier].
func (g *Guard) Exec(ctx context.Context, query string, args, v any) error {
	return g.run(ctx, func() error { return g.tx.Exec(ctx, query, args, v) })
}

// Query implements [dialect.ExecQuerier].
func (g *Guard) Query(ctx context.Context, query string, args, v any) error {
	return g.run(ctx, func() error { return g.tx.Query(ctx, query, args, v) })
}

// ExecContext is what clients with ent's feature sql/execquery call.
func (g *Guard) ExecContext(ctx context.Context, query string, args ...any) (result stdsql.Result, err error) {
	tx, ok := g.tx.(interface {
		ExecContext(context.Context, string, ...any) (stdsql.Result, error)
	})
	if !ok {
		return nil, fmt.Errorf("entsignal: %T has no ExecContext", g.tx)
	}
	err = g.run(ctx, func() error {
		result, err = tx.ExecContext(ctx, query, args...)
		return err
	})
	return result, err
}

// QueryContext is what clients with ent's feature sql/execquery call.
func (g *Guard) QueryContext(ctx context.Context, query string, args ...any) (rows *stdsql.Rows, err error) {
	tx, ok := g.tx.(interface {
		QueryContext(context.Context, string, ...any) (*stdsql.Rows, error)
	})
	if !ok {
		return nil, fmt.Errorf("entsignal: %T has no QueryContext", g.tx)
	}
	err = g.run(ctx, func() error {
		rows, err = tx.QueryContext(ctx, query, args...) //nolint:sqlclosecheck // the caller closes them
		return err
	})
	return rows, err
}

// run runs a statement and takes note of how it failed.
func (g *Guard) run(ctx context.Context, statement func() error) error {
	if err := g.Conflict(); err != nil {
		return fmt.Errorf("entsignal: the transaction is lost to an earlier conflict: %w", err)
	}
	err := statement()
	if err == nil {
		return nil
	}
	err = WithEnd(ctx, err)
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.isConflict(err):
		g.conflict = err
	case g.failed == nil:
		g.failed = err
	}
	return err
}

// WithEnd adds to an error that ctx has ended, which not every driver tells:
// lib/pq calls it a cancelled statement, database/sql a finished transaction.
func WithEnd(ctx context.Context, err error) error {
	if end := ctx.Err(); end != nil && !errors.Is(err, end) {
		return fmt.Errorf("%w: %w", end, err)
	}
	return err
}
