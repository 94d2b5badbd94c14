//go:build !unix

package database

import (
	"io/fs"
	"os"
)

// noFollow is 0 where links can't be refused when a file is opened.
const noFollow = 0

// mayChange returns false, because these systems have no file modes.
func mayChange(fs.FileInfo) bool { return false }

// adopt does nothing: a new file inherits its rights from the directory.
func adopt(*os.File, fs.FileInfo) error { return nil }
