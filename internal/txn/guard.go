package txn

import (
	"context"
	stdsql "database/sql"
	"errors"
	"fmt"
	"sync"

	"entgo.io/ent/dialect"

	"github.com/entsignal/signalbus/internal/database"
)

// Guard is the database transaction of one try, as ent's builders see it.
//
// MySQL and SQLite sometimes roll back a transaction on their own, and would run
// the following statements outside any transaction. So the guard notes every error
// that a driver reports, also while rows are read. After a conflict it rejects
// everything else in this try, even if the function swallows the error. After any
// other error it asks the database whether the transaction is still open, but only
// if the function continues.
type Guard struct {
	tx         dialect.Tx
	dialect    string
	isConflict func(error) bool
	contender  *Contender
	ended      func()

	// turn is held by the running statement, so that no other one runs before its error is
	// noted.
	turn sync.Mutex

	mu        sync.Mutex
	rows      []*stdsql.Rows // may still report an error
	doubt     error          // the first error since the transaction was known to be open
	lost      error          // why everything else is rejected
	again     bool           // the transaction was lost because of a conflict
	commitErr error
	mayCommit bool
	committed bool
}

// NewGuard returns the guard of tx. dialect is ent's name of the database. The
// guard ends the try of the contender when the database has committed or rolled
// back.
func NewGuard(tx dialect.Tx, dialect string, isConflict func(error) bool, c *Contender) *Guard {
	return &Guard{tx: tx, dialect: dialect, isConflict: isConflict, contender: c, ended: sync.OnceFunc(c.End)}
}

// Conflict reports whether the transaction was lost because of a conflict, so that
// it should run again, whatever its function returned.
func (g *Guard) Conflict() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.lookAtRows()
	return g.again
}

// AllowCommit is called when the function has returned.
func (g *Guard) AllowCommit() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.mayCommit = true
}

// Committed reports whether the database has confirmed the commit. If not, it
// returns the error, or nil if there was no attempt to commit.
func (g *Guard) Committed() (bool, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.committed, g.commitErr
}

// Commit implements driver.Tx.
func (g *Guard) Commit() error {
	g.turn.Lock()
	defer g.turn.Unlock()
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.mayCommit {
		return errors.New("entsignal: Atomic commits the transaction when its function returns nil; the function must not commit it")
	}
	g.commitErr = g.commit()
	return g.commitErr
}

func (g *Guard) commit() error {
	// Unread rows may hide a conflict, and the server would still accept the COMMIT.
	for _, rows := range g.rows {
		g.note(rows.Close())
	}
	g.lookAtRows()
	if err := g.settle(context.Background(), true); err != nil {
		return err
	}
	err := g.tx.Commit()
	g.ended()
	g.committed = err == nil
	g.note(err)
	return err
}

// Rollback implements driver.Tx.
func (g *Guard) Rollback() error {
	defer g.ended()
	return g.tx.Rollback()
}

// Exec implements [dialect.ExecQuerier].
func (g *Guard) Exec(ctx context.Context, query string, args, v any) error {
	return g.run(ctx, query, args, func() error { return g.tx.Exec(ctx, query, args, v) })
}

// Query implements [dialect.ExecQuerier].
func (g *Guard) Query(ctx context.Context, query string, args, v any) error {
	return g.run(ctx, query, args, func() error {
		if err := g.tx.Query(ctx, query, args, v); err != nil {
			return err
		}
		g.watch(v)
		return nil
	})
}

// ExecContext is called by clients with ent's feature sql/execquery.
func (g *Guard) ExecContext(ctx context.Context, query string, args ...any) (result stdsql.Result, err error) {
	tx, ok := g.tx.(interface {
		ExecContext(context.Context, string, ...any) (stdsql.Result, error)
	})
	if !ok {
		return nil, fmt.Errorf("entsignal: %T has no ExecContext", g.tx)
	}
	err = g.run(ctx, query, args, func() error {
		result, err = tx.ExecContext(ctx, query, args...)
		return err
	})
	return result, err
}

// QueryContext is called by clients with ent's feature sql/execquery.
func (g *Guard) QueryContext(ctx context.Context, query string, args ...any) (rows *stdsql.Rows, err error) {
	tx, ok := g.tx.(interface {
		QueryContext(context.Context, string, ...any) (*stdsql.Rows, error)
	})
	if !ok {
		return nil, fmt.Errorf("entsignal: %T has no QueryContext", g.tx)
	}
	err = g.run(ctx, query, args, func() error {
		rows, err = tx.QueryContext(ctx, query, args...) //nolint:sqlclosecheck // the caller closes them
		if err == nil {
			g.watch(rows)
		}
		return err
	})
	return rows, err
}

// run runs a statement if the transaction is open and no other transaction has
// precedence, and notes its error.
func (g *Guard) run(ctx context.Context, query string, args any, statement func() error) error {
	g.turn.Lock()
	defer g.turn.Unlock()
	if err := g.stands(ctx); err != nil {
		return fmt.Errorf("entsignal: the transaction is lost: %w", err)
	}
	list, _ := args.([]any)
	err := g.contender.Touch(query, list)
	if err == nil {
		err = statement()
	}
	if err == nil {
		return nil
	}
	err = WithEnd(ctx, err)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.note(err)
	return err
}

// stands returns nil if the transaction is still open.
func (g *Guard) stands(ctx context.Context) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.lookAtRows()
	return g.settle(ctx, false)
}

// note notes an error that a driver reported.
func (g *Guard) note(err error) {
	switch {
	case err == nil:
	case g.isConflict(err):
		if !g.again {
			g.lost, g.again = err, true
		}
	case g.doubt == nil:
		g.doubt = err
	}
}

// settle returns why the transaction is lost, or nil. After a doubtful error it
// asks the database.
func (g *Guard) settle(ctx context.Context, committing bool) error {
	switch {
	case g.lost != nil || g.doubt == nil:
		return g.lost
	case database.RefusesAfterError(g.dialect) && !committing:
		return nil // it rejects every statement by itself
	}
	open, err := database.IsOpen(ctx, g.dialect, g.tx)
	if open {
		g.doubt = nil
		return nil
	}
	lost := fmt.Errorf("the database rolled it back after a statement failed: %w", g.doubt)
	if err != nil {
		lost = fmt.Errorf("can't find out whether it is still open: %w; a statement failed before: %w", err, g.doubt)
	}
	if err == nil || committing {
		// If a context other than Atomic's has ended, the reason for the loss is unknown.
		// Nothing is committed, so another try does no harm.
		g.lost, g.again = lost, isEnd(g.doubt)
	}
	return lost
}

// isEnd reports whether the error is the end of a context.
func isEnd(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// WithEnd adds the end of ctx to an error, because not every driver reports it:
// lib/pq calls it a cancelled statement, and database/sql a finished transaction.
func WithEnd(ctx context.Context, err error) error {
	if end := ctx.Err(); end != nil && !errors.Is(err, end) {
		return fmt.Errorf("%w: %w", end, err)
	}
	return err
}
