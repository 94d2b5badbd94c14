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

// sqlite runs one claim at a time. SQLite has no row locks, and a transaction that
// waits for a broker would block every writer of the application. So a claim reads,
// sends, and then deletes with one short statement, while a lock excludes other
// claims: a mutex within this process, and a lock file beside the database between
// processes. An in-memory database has only the mutex.
type sqlite struct {
	mutex chan struct{} // holds a token while a claim runs; guards the fields below

	located bool
	file    *lockFile // nil for an in-memory database
	// sent has the rows that were sent but could not be deleted.
	sent map[Table][]any
	// guards has what may prevent a deletion.
	guards map[Table]guards

	fitness
}

func newSQLite() *sqlite {
	return &sqlite{mutex: make(chan struct{}, 1), sent: make(map[Table][]any), guards: make(map[Table]guards)}
}

const (
	// pollEvery is how often to try a lock that another process holds.
	pollEvery = 5 * time.Millisecond
)

// Claim implements [Dialect].
func (s *sqlite) Claim(ctx context.Context, c Claim) (int, error) {
	if err := s.lock(ctx, c); err != nil {
		return 0, err
	}
	defer s.leave(ctx, c) // deferred, because a sender may end its goroutine
	return s.claim(ctx, c)
}

// leave gives back the lock of a claim. If a writer outlasts the claim, it keeps the lock
// until what was sent is deleted, because other processes know nothing of that.
func (s *sqlite) leave(ctx context.Context, c Claim) {
	if len(s.sent[c.Table]) == 0 {
		s.unlock()
		return
	}
	c.Behind(func() {
		defer s.unlock()
		_ = s.deleteSent(context.WithoutCancel(ctx), c.Driver, c.Table)
	})
}

// claim is a claim that has the lock.
func (s *sqlite) claim(ctx context.Context, c Claim) (int, error) {
	if err := s.deleteSent(ctx, c.Driver, c.Table); err != nil {
		return 0, &NotDeletedError{fmt.Errorf("delete what was sent before: %w", err)}
	}

	ids, err := c.Fetch(ctx, c.Driver, func(*sql.Selector) {})
	if err != nil {
		return 0, fmt.Errorf("claim: %w", err)
	}
	if err := ctx.Err(); len(ids) == 0 || err != nil {
		return 0, err
	}
	refused, err := s.refusals(ctx, c, ids)
	if err != nil {
		return 0, err
	}
	out := c.Send(ctx, without(ids, refused, c.Ordered), refused)
	settle, cancel := settling(ctx, c.Settle)
	defer cancel()
	if len(out.Sent) > 0 {
		s.sent[c.Table] = out.Sent
		if err := s.deleteSent(settle, c.Driver, c.Table); err != nil {
			return 0, errors.Join(out.Err, &NotDeletedError{fmt.Errorf("sent, but not deleted yet: %w", err)})
		}
	}
	if len(out.Changes) > 0 {
		if err := s.Note(settle, Note{Driver: c.Driver, Table: c.Table, Changes: out.Changes}); err != nil {
			out.Err = errors.Join(out.Err, &NotNotedError{err})
		}
	}
	return len(out.Sent), out.Err
}

// refusals returns the rows that the database would refuse to delete.
func (s *sqlite) refusals(ctx context.Context, c Claim, ids []any) ([]Refusal, error) {
	try := func(ids []any) (refusal, fatal error) {
		err := s.tryDelete(ctx, c.Driver, c.Table, ids)
		if isRefusal(ctx, err) {
			return err, nil
		}
		return nil, err
	}
	refusal, err := try(ids)
	if refusal == nil || err != nil {
		return nil, err
	}
	return findRefusals(ids, c.Ordered, refusal, try)
}

// Note implements [Dialect]. It needs no lock, because a change checks the value that it expects.
func (s *sqlite) Note(ctx context.Context, n Note) error {
	return inSomeForm(n.Changes, func(changes []Change) error {
		return write(ctx, n.Driver, func(tx dialect.Tx) error { return changeSQLite(ctx, tx, n.Table, changes) })
	})
}

// Repair implements [Dialect].
func (s *sqlite) Repair(ctx context.Context, m Repair) ([]any, error) {
	if err := s.lockWithin(ctx, m.Driver); err != nil {
		return nil, err
	}
	defer s.unlock()
	ids, err := m.Pick(ctx, m.Driver, func(*sql.Selector) {})
	if err != nil || len(ids) == 0 {
		return nil, err
	}
	err = write(ctx, m.Driver, func(tx dialect.Tx) error {
		if m.Set != nil {
			return changeSQLite(ctx, tx, m.Table, []Change{{IDs: ids, Set: m.Set}})
		}
		statement, args := sql.Dialect(dialect.SQLite).Delete(m.Table.Name).Where(sql.In(m.Table.IDColumn, ids...)).Query()
		return tx.Exec(ctx, statement, args, nil)
	})
	if err != nil {
		return nil, err
	}
	return ids, nil
}

func changeSQLite(ctx context.Context, tx dialect.Tx, table Table, changes []Change) error {
	for _, c := range changes {
		statement, args := c.update(dialect.SQLite, table, "")
		if err := tx.Exec(ctx, statement, args, nil); err != nil {
			return err
		}
	}
	return nil
}

// write runs f in a transaction. If a writer holds the database for longer than its
// busy timeout, it tries again until ctx ends, as deleteSent does.
func write(ctx context.Context, drv dialect.Driver, f func(dialect.Tx) error) error {
	try := func() error {
		tx, err := drv.Tx(ctx)
		if err != nil {
			return err
		}
		if err := f(tx); err != nil {
			_ = tx.Rollback()
			return err
		}
		return tx.Commit()
	}
	return inTurn(ctx, try)
}

// inTurn calls try again while another connection writes, until ctx ends.
func inTurn(ctx context.Context, try func() error) error {
	for {
		err := try()
		if err == nil || !isSQLiteBusy(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pollEvery):
		}
	}
}

// settling returns a context that ends d after ctx.
func settling(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	end := time.Now()
	if deadline, ok := ctx.Deadline(); ok && deadline.After(end) {
		end = deadline
	}
	return context.WithDeadline(context.WithoutCancel(ctx), end.Add(d))
}

// deleteSent deletes the rows that were sent. It tries again if a writer holds the
// database for longer than its busy timeout. If that fails, it remembers the rows, and
// the next claim deletes them before it sends anything. So a message is repeated only
// if the process ends, or, where a trigger keeps the row, by other processes.
func (s *sqlite) deleteSent(ctx context.Context, drv dialect.Driver, table Table) error {
	ids := s.sent[table]
	if len(ids) == 0 {
		return nil
	}
	b := sql.Dialect(dialect.SQLite)
	match := inRanges(drv, table, ids)
	statement, args := b.Delete(table.Name).Where(match).Query()
	n := 0
	err := inTurn(ctx, func() (err error) {
		n, err = execCount(ctx, drv, statement, args)
		return err
	})
	switch {
	case err != nil:
		delete(s.guards, table) // there may be a new trigger
		return err
	case n < len(ids):
		return s.checkGone(ctx, drv, table)
	}
	delete(s.sent, table)
	return nil
}

// checkGone is called if fewer rows were deleted than were sent: the application
// has deleted some itself, or a trigger prevents it.
func (s *sqlite) checkGone(ctx context.Context, drv dialect.Driver, table Table) error {
	left, err := countSQLite(ctx, drv, table, s.sent[table])
	if err != nil {
		return err
	}
	if left > 0 {
		delete(s.guards, table)
		return fmt.Errorf("%d of %d rows of %s stay after their deletion; does a trigger keep them?", left, len(s.sent[table]), table)
	}
	delete(s.sent, table)
	return nil
}

// Exclusive implements [Dialect].
func (s *sqlite) Exclusive() bool { return true }

// Read implements [Dialect].
func (s *sqlite) Read(_ context.Context, drv dialect.Driver, read func(dialect.Driver) error) error {
	return read(drv)
}

// lock excludes other claims, until unlock.
func (s *sqlite) lock(ctx context.Context, c Claim) error {
	if c.Patience == 0 {
		return s.lockWithin(ctx, c.Driver)
	}
	wait, cancel := context.WithTimeout(ctx, c.Patience)
	defer cancel()
	err := s.lockWithin(wait, c.Driver)
	if err != nil && wait.Err() != nil {
		return ErrBusy
	}
	return err
}

func (s *sqlite) lockWithin(ctx context.Context, drv dialect.Driver) error {
	select {
	case s.mutex <- struct{}{}:
	case <-ctx.Done():
		return fmt.Errorf("wait for another flush of the database: %w", context.Cause(ctx))
	}
	if err := s.lockFile(ctx, drv); err != nil {
		<-s.mutex
		return err
	}
	return nil
}

func (s *sqlite) lockFile(ctx context.Context, drv dialect.Driver) error {
	if !s.located {
		file, err := openLockFile(ctx, drv)
		if err != nil {
			return err
		}
		s.file, s.located = file, true
	}
	if s.file == nil {
		return nil
	}
	return s.file.lock(ctx)
}

func (s *sqlite) unlock() {
	if s.file != nil {
		_ = s.file.Unlock()
	}
	<-s.mutex
}

// isSQLiteBusy recognizes SQLITE_BUSY and SQLITE_LOCKED. Extended codes have the
// same low byte.
func isSQLiteBusy(err error) bool {
	code, ok := sqliteCode(err)
	return ok && isBusyCode(code)
}

// sqliteCode recognizes the errors of modernc.org/sqlite (method Code) and of
// mattn/go-sqlite3 (field Code) without importing them.
func sqliteCode(err error) (int64, bool) {
	type coded interface {
		error
		Code() int
	}
	if e, ok := asError[coded](err); ok && strings.Contains(packageOf(e), "sqlite") {
		return int64(e.Code()), true
	}
	return errorField(err, "sqlite", "Error", "Code")
}

func isBusyCode(code int64) bool { return code&0xff == 5 || code&0xff == 6 }
