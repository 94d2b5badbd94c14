package database

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

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
	// absence is nil where no setting of a session changes what it sees.
	absence func(ctx context.Context, drv dialect.Driver, m Missing) (string, error)
	// hint makes an UPDATE find its rows by their key, where the optimizer may
	// see it otherwise; see removeMySQL.
	hint string
	// askServer asks what the server is like, and askTable a table: whether it is
	// known, what doesn't fit, and why nothing of it may be claimed.
	askServer func(ctx context.Context, drv dialect.Driver, batch time.Duration) (traits, []Misfit, error)
	askTable  func(ctx context.Context, drv dialect.Driver, t Table) (known bool, _ []Misfit, _ error)

	fitness
}

// A turn lets one ordered flush of a table, or of a key, run at a time. A transaction holds it, so
// that the database gives it back when the holder dies.
type turn interface {
	// take returns false if another transaction holds the turn.
	take(ctx context.Context, t *tx, table Table, key string) (bool, error)
}

// Claim implements [Dialect].
func (l *locking) Claim(ctx context.Context, c Claim) (int, error) {
	t, err := l.begin(ctx, c.Driver, c.Settle)
	if err != nil {
		return 0, err
	}
	defer t.end()

	n, left, err := l.take(ctx, t, c)
	if n == 0 || err != nil {
		return 0, err
	}
	sent, sendErr := c.Batch.Send(ctx)
	changes := c.Batch.Changes()
	if sent == 0 && len(changes) == 0 {
		return 0, sendErr
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.Settle)
	defer cancel()
	switch {
	case sent == left && len(changes) == 0:
		if err = t.commit(ctx); err != nil && !IsUnavailable(err) {
			l.server.Store(nil) // something refused that nobody knew of
		}
	case n == 1: // without a savepoint, which would cost each healthy row a statement
		t.end()
		if err := l.Note(ctx, Note{Driver: c.Driver, Table: c.Batch.Table(), Changes: changes, Settle: c.Settle}); err != nil {
			return 0, errors.Join(sendErr, &NotNotedError{err})
		}
		return 0, sendErr
	default:
		var noteErr error
		noteErr, err = l.keep(ctx, t, c, sent, changes)
		sendErr = joined(sendErr, noteErr)
	}
	if err != nil && sent > 0 {
		err = notDeleted(err)
	}
	if err != nil {
		return 0, errors.Join(sendErr, err)
	}
	return sent, sendErr
}

// begin starts the transaction of a claim, or of what is like one.
func (l *locking) begin(ctx context.Context, drv dialect.Driver, settle time.Duration) (*tx, error) {
	t, err := begin(ctx, drv, false)
	if err != nil {
		return nil, err
	}
	t.settle = settle
	if known := l.server.Load(); known != nil {
		t.server = *known
	}
	return t, nil
}

// take locks the rows of the claim and deletes those that can be deleted. It
// returns how many there are, and how many of them are deleted.
func (l *locking) take(ctx context.Context, t *tx, c Claim) (n, left int, err error) {
	lock := skipLocked
	if c.Ordered {
		lock = waitForLocked
		if mine, err := l.turn.take(ctx, t, c.Batch.Table(), c.Key); err != nil {
			return 0, 0, fmt.Errorf("lock the order: %w", err)
		} else if !mine {
			return 0, 0, ErrBusy
		}
	}
	n, err = c.Batch.Fetch(ctx, t, lock)
	if err != nil {
		return 0, 0, fmt.Errorf("claim: %w", err)
	}
	if n == 0 {
		return 0, 0, nil
	}
	var first []string
	if t.server.deferrable {
		// Before the savepoint, which would take it back. What is refused at the
		// commit is sent again for ever.
		first = append(first, "SET CONSTRAINTS ALL IMMEDIATE")
	}
	if n > 1 { // else it goes, or nothing does
		first = append(first, savepoint)
	}
	err = l.delete(ctx, t, c, n, first...)
	left = n
	if isRefusal(ctx, err) {
		refused, failure := l.refusals(ctx, t, c, err)
		if failure != nil {
			return 0, 0, failure
		}
		c.Batch.Refuse(refused)
		err = nil
		if left = len(c.Batch.Done()); left > 0 {
			err = l.delete(ctx, t, c, left)
		}
	}
	if err != nil {
		return 0, 0, err
	}
	return n, left, ctx.Err()
}

// keep commits the deletion of the rows that were sent, and of no others, and
// what is to be noted in these. noteErr says why that isn't noted.
func (l *locking) keep(ctx context.Context, t *tx, c Claim, sent int, changes []Change) (noteErr, err error) {
	// The row locks outlive the rollback to the savepoint.
	undo := []string{"ROLLBACK TO " + savepoint}
	if len(changes) > 0 {
		if err := t.exec(ctx, undo[0]); err != nil {
			return nil, err
		}
		// Before the deletion: a failure here must not undo it, nor may a
		// deadlock, after which MySQL has no transaction anymore.
		if err := l.note(ctx, t, c.Batch.Table(), changes, time.Now().Add(c.Settle/2)); err != nil {
			noteErr = &NotNotedError{err}
		} else {
			undo = nil
		}
	}
	switch {
	case sent > 0:
		err = l.delete(ctx, t, c, sent, undo...)
	case noteErr != nil: // then there is nothing to keep
		return noteErr, nil
	}
	if err != nil {
		return noteErr, err
	}
	return noteErr, t.commit(ctx)
}

// delete deletes the rows of the batch that are done, of which there are want,
// after other statements if there are some. It fails if some of them stay.
func (l *locking) delete(ctx context.Context, t *tx, c Claim, want int, first ...string) error {
	statement, args := l.remove(t, c.Batch.Table(), c.Batch.Done())
	if t.several && len(args) == 0 {
		statement = strings.Join(append(first, statement), "; ")
		first = nil
	}
	for _, before := range first {
		if err := t.exec(ctx, before); err != nil {
			return fmt.Errorf("%s: %w", before, err)
		}
	}
	n, err := execCount(ctx, t, statement, args)
	if err != nil {
		return fmt.Errorf("delete: %w", err)
	}
	return allWent(n, want)
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
