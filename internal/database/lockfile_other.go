//go:build !unix

package database

import (
	"io/fs"
	"os"
)

// noFollow is nothing where a file can't be opened without following links.
const noFollow = 0

// mayChange reports false: these systems have no modes to keep alike.
func mayChange(fs.FileInfo) bool { return false }

// adopt does nothing: a new file inherits its rights from the directory.
func adopt(*os.File, fs.FileInfo) error { return nil }
