package dialect

import (
	"context"
	"errors"
	"fmt"

	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/sql"
)

// locking claims with row locks: one transaction locks the rows, deletes
// them, sends, and commits. The deletion comes first so that deadlocks and
// foreign keys speak before anything is sent; with the opposite order,
// deadlocks at the deletion were measured to cause 700 messages for 500 rows.
type locking struct {
	turn turn
	// remove returns the statement that deletes the rows with these ids.
	remove func(t *tx, table Table, ids []any) (string, []any)
	order  func(ctx context.Context, drv dialect.Driver, t Table) (Order, error)
}

// A turn lets one ordered flush of a table, or of a key, run at a time. A transaction holds it, so
// that the database gives it back when the holder dies.
type turn interface {
	// take returns false if another transaction holds the turn.
	take(ctx context.Context, t *tx, table Table, key string) (bool, error)
}

// Claim implements [Dialect].
func (l *locking) Claim(ctx context.Context, c Claim) (int, error) {
	t, err := begin(ctx, c.Driver, false)
	if err != nil {
		return 0, err
	}
	t.settle = c.Settle
	defer t.end()

	n, err := l.take(ctx, t, c)
	if n == 0 || err != nil {
		return 0, err
	}
	sent, sendErr := c.Batch.Send(ctx)
	if sent == 0 {
		return 0, sendErr
	}
	if err := l.keep(ctx, t, c, n, sent); err != nil {
		return 0, errors.Join(sendErr, notDeleted(err))
	}
	return sent, sendErr
}

// take locks and deletes the rows of the claim and returns how many.
func (l *locking) take(ctx context.Context, t *tx, c Claim) (int, error) {
	lock := skipLocked
	if c.Ordered {
		lock = waitForLocked
		if mine, err := l.turn.take(ctx, t, c.Batch.Table(), c.Key); err != nil {
			return 0, fmt.Errorf("lock the order: %w", err)
		} else if !mine {
			return 0, ErrBusy
		}
	}
	n, err := c.Batch.Fetch(ctx, t, lock)
	if err != nil {
		return 0, fmt.Errorf("claim: %w", err)
	}
	switch {
	case n == 0:
		return 0, nil
	case n == 1: // it goes, or nothing does
		err = l.delete(ctx, t, c, n, "")
	default:
		err = l.delete(ctx, t, c, n, "SAVEPOINT entsignal")
	}
	if err != nil {
		return 0, err
	}
	return n, ctx.Err()
}

// keep commits the deletion of the rows that were sent, and of no others.
func (l *locking) keep(ctx context.Context, t *tx, c Claim, claimed, sent int) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.Settle)
	defer cancel()
	if sent < claimed {
		// The row locks outlive the rollback to the savepoint.
		if err := l.delete(ctx, t, c, sent, "ROLLBACK TO SAVEPOINT entsignal"); err != nil {
			return err
		}
	}
	return t.commit(ctx)
}

// delete deletes the rows of the batch that are done, of which there are want,
// after another statement if there is one. A trigger or a rule that keeps some
// makes it fail: what can't be deleted would be sent for ever.
func (l *locking) delete(ctx context.Context, t *tx, c Claim, want int, first string) error {
	statement, args := l.remove(t, c.Batch.Table(), c.Batch.Done())
	switch {
	case first == "":
	case t.several && len(args) == 0:
		statement = first + "; " + statement
	default:
		if err := t.exec(ctx, first); err != nil {
			return fmt.Errorf("%s: %w", first, err)
		}
	}
	n, err := execCount(ctx, t, statement, args)
	if err != nil {
		return fmt.Errorf("delete: %w", err)
	}
	if n != want {
		return fmt.Errorf("delete: %d of %d rows went", n, want)
	}
	return nil
}

// TakesTurns implements [Dialect].
func (l *locking) TakesTurns() bool { return false }

// Read implements [Dialect].
func (l *locking) Read(ctx context.Context, drv dialect.Driver, read func(dialect.Driver) error) error {
	t, err := begin(ctx, drv, true)
	if err != nil {
		return err
	}
	defer t.end()
	return read(t)
}

func skipLocked(s *sql.Selector) { s.ForUpdate(sql.WithLockAction(sql.SkipLocked)) }

func waitForLocked(s *sql.Selector) { s.ForUpdate() }
