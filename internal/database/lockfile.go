package database

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/sql"
	"github.com/gofrs/flock"
)

// lockFileSuffix is appended to the path of a SQLite database.
const lockFileSuffix = "-entsignal.lock"

// A lockFile lets only one of the processes that share a SQLite database claim at a
// time. It lies beside the database and is not removed when the lock is free,
// because others may be waiting for it.
type lockFile struct {
	database string
	*flock.Flock
}

// openLockFile returns the lock file of drv's database, or nil if the database is
// in memory.
func openLockFile(ctx context.Context, drv dialect.Driver) (*lockFile, error) {
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
	return newLockFile(path.String), nil
}

func newLockFile(database string) *lockFile {
	return &lockFile{database, flock.New(database+lockFileSuffix, flock.SetFlag(os.O_RDONLY|noFollow))}
}

// lock waits for the lock until ctx ends. It returns an error if it doesn't get it.
func (l *lockFile) lock(ctx context.Context) error {
	if err := l.create(); err != nil {
		return fmt.Errorf("lock file %s: %w", l.Path(), err)
	}
	mine, err := l.TryLockContext(ctx, pollEvery)
	switch {
	case errors.Is(err, fs.ErrPermission):
		err = fmt.Errorf("%w; every user of the database must be able to read it: give it the mode and the group of %s", err, l.database)
	case err == nil && !mine:
		err = errors.New("not locked")
	}
	if err != nil {
		return fmt.Errorf("lock file %s: %w", l.Path(), err)
	}
	return nil
}

// create makes sure that the lock file exists, and that every user who may write to
// the database may lock it. As SQLite does for its -wal file, it gives the file the
// mode of the database, and its owner too if this process is root. It follows no
// symbolic link: in a directory that others can write to, a link could make this
// process create or change any file.
func (l *lockFile) create() error {
	database, err := os.Stat(l.database)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(l.Path(), os.O_RDWR|os.O_CREATE|os.O_EXCL|noFollow, 0o600)
	switch {
	case err == nil:
		defer func() { _ = f.Close() }()
		return adopt(f, database)
	case !errors.Is(err, fs.ErrExist):
		return err
	}
	info, err := os.Lstat(l.Path())
	switch {
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return fmt.Errorf("it is not a regular file but %s; remove it", info.Mode().Type())
	case info.Mode().Perm() == database.Mode().Perm() || !mayChange(info):
		return nil
	}
	// The file was made with another mode, or the mode of the database has changed.
	f, err = os.OpenFile(l.Path(), os.O_RDONLY|noFollow, 0)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	return adopt(f, database)
}
