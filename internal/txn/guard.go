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

// Guard is the database's transaction of one try, as ent's builders see it.
//
// MySQL and SQLite roll a transaction back on their own, and would run what
// follows outside of any. So the guard takes note of every error that a driver
// reports, also while rows are read. After a conflict nothing more is done in
// the try, even if its function swallows the error. After any other error the
// guard asks the database whether the transaction still stands, but only if
// the function goes on.
type Guard struct {
	tx         dialect.Tx
	dialect    string
	isConflict func(error) bool
	contender  *Contender
	ended      func()

	// turn is held by the statement that runs, so that no other slips in
	// between its failure and the note of it.
	turn sync.Mutex

	mu        sync.Mutex
	rows      []*stdsql.Rows // those that may have more to say
	doubt     error          // the first one since the transaction was known to stand
	lost      error          // why nothing more is done
	again     bool           // the transaction is lost to a conflict
	commitErr error
	mayCommit bool
	committed bool
}

// NewGuard returns the guard of tx, of a database of ent's dialect. It ends the
// try of the contender when the database has committed or rolled back.
func NewGuard(tx dialect.Tx, dialect string, isConflict func(error) bool, c *Contender) *Guard {
	return &Guard{tx: tx, dialect: dialect, isConflict: isConflict, contender: c, ended: sync.OnceFunc(c.End)}
}

// Conflict reports whether the transaction was lost to a conflict, so that it
// should be run again, whatever its function returned.
func (g *Guard) Conflict() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.lookAtRows()
	return g.again
}

// AllowCommit is called when the function is done.
func (g *Guard) AllowCommit() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.mayCommit = true
}

// Committed reports whether the database has confirmed the commit. If it
// hasn't, the error says why; it is nil if nobody has tried to commit.
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
		return errors.New("entsignal: Atomic commits the transaction when its function has returned nil; the function can't")
	}
	g.commitErr = g.commit()
	return g.commitErr
}

func (g *Guard) commit() error {
	// What nobody has read may be a conflict, after which the server would
	// accept the COMMIT.
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

// ExecContext is what clients with ent's feature sql/execquery call.
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

// QueryContext is what clients with ent's feature sql/execquery call.
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

// run runs a statement if the transaction stands and nobody has to be given
// way to, and takes note of how it failed.
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

// stands returns nil if the transaction is open still.
func (g *Guard) stands(ctx context.Context) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.lookAtRows()
	return g.settle(ctx, false)
}

// note takes note of what a driver has reported.
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

// settle returns why the transaction is lost. If an error has cast doubt on
// it, it asks the database.
func (g *Guard) settle(ctx context.Context, committing bool) error {
	switch {
	case g.lost != nil || g.doubt == nil:
		return g.lost
	case database.RefusesAfterError(g.dialect) && !committing:
		return nil // it refuses every statement by itself
	}
	open, err := database.IsOpen(ctx, g.dialect, g.tx)
	if open {
		g.doubt = nil
		return nil
	}
	lost := fmt.Errorf("the database has rolled it back; a statement had failed before: %w", g.doubt)
	if err != nil {
		lost = fmt.Errorf("can't tell whether it stands: %w; a statement had failed before: %w", err, g.doubt)
	}
	if err == nil || committing {
		// The end of a context that isn't Atomic's hides why the transaction
		// was lost. Nothing is committed, so another try does no harm.
		g.lost, g.again = lost, isEnd(g.doubt)
	}
	return lost
}

// isEnd reports whether the error tells of the end of a context.
func isEnd(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// WithEnd adds to an error that ctx has ended, which not every driver tells:
// lib/pq calls it a cancelled statement, database/sql a finished transaction.
func WithEnd(ctx context.Context, err error) error {
	if end := ctx.Err(); end != nil && !errors.Is(err, end) {
		return fmt.Errorf("%w: %w", end, err)
	}
	return err
}
