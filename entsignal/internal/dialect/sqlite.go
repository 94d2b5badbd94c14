package dialect

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"

	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/sql"
	"github.com/gofrs/flock"
)

// sqlite claims by turns. SQLite has no row locks, and a transaction that
// waited for a broker would stop every writer of the application; so a claim
// reads, sends, and then deletes with one short statement, while a lock keeps
// other claims out: in this process a mutex, between processes a lock file
// beside the database. An in-memory database has the mutex only.
type sqlite struct {
	turn chan struct{} // holds a token while a claim runs; guards the rest

	located bool
	file    *flock.Flock // nil for an in-memory database
}

func newSQLite() *sqlite { return &sqlite{turn: make(chan struct{}, 1)} }

const (
	// lockFileSuffix is appended to the path of the database.
	lockFileSuffix = "-entsignal.lock"
	// pollEvery is how often a lock that another process holds is tried.
	pollEvery = 5 * time.Millisecond
)

// Claim implements [Dialect].
func (s *sqlite) Claim(ctx context.Context, c Claim) (int, error) {
	if err := s.lock(ctx, c); err != nil {
		return 0, err
	}
	defer s.unlock()

	n, err := c.Batch.Fetch(ctx, c.Driver, func(*sql.Selector) {})
	if err != nil {
		return 0, fmt.Errorf("claim: %w", err)
	}
	if n == 0 {
		return 0, nil
	}
	sent, sendErr := c.Batch.Send(ctx)
	if sent == 0 {
		return 0, sendErr
	}
	settle, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.Settle)
	defer cancel()
	if err := deletePatiently(settle, c); err != nil {
		return 0, errors.Join(sendErr, notDeleted(err))
	}
	return sent, sendErr
}

// deletePatiently deletes what was sent; a writer that holds the database
// longer than its busy timeout doesn't make it give up.
func deletePatiently(ctx context.Context, c Claim) error {
	table := c.Batch.Table()
	statement, args := sql.Dialect(dialect.SQLite).Delete(table.Name).Where(sql.In(table.IDColumn, c.Batch.Done()...)).Query()
	for {
		err := c.Driver.Exec(ctx, statement, args, nil)
		if !isSQLiteBusy(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pollEvery):
		}
	}
}

// Read implements [Dialect].
func (s *sqlite) Read(_ context.Context, drv dialect.Driver, read func(dialect.Driver) error) error {
	return read(drv)
}

// lock takes the turn. An ordered claim, which has its own way to wait, gets
// ErrBusy if the turn isn't free.
func (s *sqlite) lock(ctx context.Context, c Claim) error {
	select {
	case s.turn <- struct{}{}:
	default:
		if c.Ordered {
			return ErrBusy
		}
		select {
		case s.turn <- struct{}{}:
		case <-ctx.Done():
			return fmt.Errorf("wait for the turn: %w", ctx.Err())
		}
	}
	if err := s.lockFile(ctx, c); err != nil {
		<-s.turn
		return err
	}
	return nil
}

func (s *sqlite) lockFile(ctx context.Context, c Claim) error {
	if !s.located {
		file, err := openLockFile(ctx, c.Driver)
		if err != nil {
			return err
		}
		s.file, s.located = file, true
	}
	if s.file == nil {
		return nil
	}
	var (
		mine bool
		err  error
	)
	if c.Ordered {
		mine, err = s.file.TryLock()
	} else {
		mine, err = s.file.TryLockContext(ctx, pollEvery)
	}
	switch {
	case err != nil:
		return fmt.Errorf("lock file %s: %w", s.file.Path(), err)
	case !mine:
		return ErrBusy
	}
	return nil
}

func (s *sqlite) unlock() {
	if s.file != nil {
		_ = s.file.Unlock()
	}
	<-s.turn
}

// openLockFile returns the lock file of the database that drv is connected
// to, or nil if the database is in memory. The file stays when the lock is
// free: to remove it would take it from under those who wait.
func openLockFile(ctx context.Context, drv dialect.Driver) (*flock.Flock, error) {
	var rows sql.Rows
	if err := drv.Query(ctx, "SELECT file FROM pragma_database_list WHERE name = 'main'", []any{}, &rows); err != nil {
		return nil, fmt.Errorf("find the database file: %w", err)
	}
	defer rows.Close()
	var path sql.NullString
	if err := sql.ScanOne(&rows, &path); err != nil {
		return nil, fmt.Errorf("find the database file: %w", err)
	}
	if path.String == "" {
		return nil, nil
	}
	return flock.New(path.String + lockFileSuffix), nil
}

// isSQLiteBusy knows the errors of modernc.org/sqlite (method Code) and of
// mattn/go-sqlite3 (field Code) without importing them: SQLITE_BUSY and
// SQLITE_LOCKED, of which the extended codes keep the low byte.
func isSQLiteBusy(err error) bool {
	var coded interface {
		error
		Code() int
	}
	if errors.As(err, &coded) && strings.Contains(reflect.Indirect(reflect.ValueOf(coded)).Type().PkgPath(), "sqlite") {
		return isBusyCode(int64(coded.Code()))
	}
	code, ok := errorField(err, "sqlite", "Error", "Code")
	return ok && isBusyCode(code)
}

func isBusyCode(code int64) bool { return code&0xff == 5 || code&0xff == 6 }
