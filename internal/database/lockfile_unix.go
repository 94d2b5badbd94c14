//go:build unix

package database

import (
	"io/fs"
	"os"
	"syscall"
)

// noFollow makes the opening of a symbolic link fail.
const noFollow = syscall.O_NOFOLLOW

// mayChange reports whether this process may change the mode of a file.
func mayChange(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && (os.Geteuid() == 0 || int(stat.Uid) == os.Geteuid())
}

// adopt gives a file the mode of the database, and if this is root its owner.
func adopt(f *os.File, database fs.FileInfo) error {
	if stat, ok := database.Sys().(*syscall.Stat_t); ok && os.Geteuid() == 0 {
		if err := f.Chown(int(stat.Uid), int(stat.Gid)); err != nil {
			return err
		}
	}
	return f.Chmod(database.Mode().Perm())
}
