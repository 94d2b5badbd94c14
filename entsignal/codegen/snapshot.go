package codegen

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// snapshot maps paths to the Go code in a folder and the folders below it, which is
// where ent puts the files that it generates. A folder has no code.
type snapshot struct {
	dir  string
	code map[string][]byte
}

// snapshotOf returns the present content of dir.
func snapshotOf(dir string) (snapshot, error) {
	s := snapshot{dir, make(map[string][]byte)}
	paths, err := s.paths()
	if err != nil {
		return s, err
	}
	for _, path := range paths {
		code, err := os.ReadFile(path)
		if err != nil {
			return s, err
		}
		s.code[path] = code
	}
	return s, nil
}

// paths returns the paths of all Go files.
func (s snapshot) paths() (paths []string, err error) {
	for _, pattern := range []string{"*.go", "*/*.go"} {
		names, err := fs.Glob(os.DirFS(s.dir), pattern)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			paths = append(paths, filepath.Join(s.dir, filepath.FromSlash(name)))
		}
	}
	return paths, nil
}

// restore restores the folder.
func (s snapshot) restore() error {
	paths, err := s.paths()
	if err != nil {
		return err
	}
	var errs []error
	for _, path := range paths {
		if _, ok := s.code[path]; !ok {
			errs = append(errs, os.Remove(path))
			if dir := filepath.Dir(path); dir != s.dir {
				_ = os.Remove(dir) // if it is empty now
			}
		}
	}
	for path, code := range s.code {
		if now, err := os.ReadFile(path); err == nil && bytes.Equal(now, code) {
			continue
		}
		errs = append(errs, os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, code, 0o644))
	}
	return errors.Join(errs...)
}
