package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
)

// importPath returns the import path of the package in a folder, which need
// not be there yet.
func importPath(dir string) (string, error) {
	root := moduleRoot(dir)
	if root == "" {
		return "", fmt.Errorf("%s is not in a Go module; create one with 'go mod init'", dir)
	}
	rel, err := relative(root, dir)
	if err != nil {
		return "", err
	}
	module, err := modulePath(root)
	return path.Join(module, filepath.ToSlash(rel)), err
}

// modulePath returns the path of the module whose go.mod is in a folder.
func modulePath(root string) (string, error) {
	file := filepath.Join(root, "go.mod")
	out, err := exec.Command("go", "mod", "edit", "-json", file).Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			err = fmt.Errorf("%w\n%s", err, bytes.TrimSpace(exit.Stderr))
		}
		return "", fmt.Errorf("read %s: %w", file, err)
	}
	var mod struct{ Module struct{ Path string } }
	if err := json.Unmarshal(out, &mod); err != nil {
		return "", fmt.Errorf("read %s: %w", file, err)
	}
	return mod.Module.Path, nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// sameFolder reports whether two paths lead to one folder.
func sameFolder(a, b string) bool {
	infoA, errA := os.Stat(a)
	infoB, errB := os.Stat(b)
	if errA == nil && errB == nil {
		return os.SameFile(infoA, infoB)
	}
	absA, errA := filepath.Abs(a)
	absB, errB := filepath.Abs(b)
	return errA == nil && errB == nil && absA == absB
}

// moduleRoot returns the folder of the go.mod above a folder, relative to the
// working directory, or nothing.
func moduleRoot(dir string) string {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return ""
	}
	for !exists(filepath.Join(abs, "go.mod")) {
		up := filepath.Dir(abs)
		if up == abs {
			return ""
		}
		abs = up
	}
	rel, err := relative(".", abs)
	if err != nil {
		return abs // on another drive
	}
	return rel
}

// relative is filepath.Rel for paths of which one may be absolute.
func relative(dir, path string) (string, error) {
	absDir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	absPath, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	return filepath.Rel(absDir, absPath)
}

// walkModule calls visit for the Go files below the root of a module, except
// those that belong to other modules or are not built. Paths are relative to the
// working directory.
func walkModule(root string, visit func(file string, content []byte)) error {
	return filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrPermission):
			return nil // a folder of somebody else, such as a database's
		case err != nil:
			return err
		case d.IsDir():
			if name != root && (otherCode(d.Name()) || exists(filepath.Join(name, "go.mod"))) {
				return filepath.SkipDir
			}
			return nil
		case !strings.HasSuffix(name, ".go"):
			return nil
		}
		content, err := os.ReadFile(name)
		if err != nil {
			return nil // a dangling link; what can't be read generates nothing
		}
		visit(name, content)
		return nil
	})
}

// otherCode reports whether a folder of that name has no code of its module.
func otherCode(name string) bool {
	return name == "vendor" || name == "testdata" || name == "node_modules" || name[0] == '.' || name[0] == '_'
}
