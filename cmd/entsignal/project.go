package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
)

// dirs are the folders of an ent project, relative to the working directory
// where the user gave them so.
type dirs struct {
	schema string // begins with "./" or "../" if it is relative
	ent    string // the generated package: the folder that the schema is in
}

// dirsOf returns the folders of a project whose schema is in that folder.
func dirsOf(schema string) dirs {
	return dirs{schema: dotted(schema), ent: filepath.Dir(filepath.Clean(schema))}
}

// dotted returns a path that begins with a dot if it is relative. Without, the
// go command would take it for an import path.
func dotted(path string) string {
	path = filepath.Clean(path)
	if filepath.IsAbs(path) || !filepath.IsLocal(path) || path == "." {
		return path
	}
	return "." + string(filepath.Separator) + path
}

// findDirs is dirsOf for a schema that must be there.
func findDirs(schema string) (dirs, error) {
	d := dirsOf(schema)
	info, err := os.Stat(d.schema)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return d, fmt.Errorf("no schema at %s; create one with 'go run -mod=mod entgo.io/ent/cmd/ent new NAME', or name its folder with --schema", d.schema)
	case err != nil:
		return d, err
	case !info.IsDir():
		return d, fmt.Errorf("%s is a file; expected the folder of the schema", d.schema)
	}
	return d, nil
}

// withoutRuntime returns build flags that leave the generated runtime.go out
// while the schema is loaded, as generation does: it imports the schema, so
// that a schema which now imports generated code would be in a cycle. cleanup
// removes what the flags need.
func withoutRuntime(d dirs) (flags []string, cleanup func(), err error) {
	cleanup = func() {}
	runtime, err := filepath.Abs(filepath.Join(d.ent, "runtime.go"))
	if err != nil {
		return nil, cleanup, err
	}
	file, err := parser.ParseFile(token.NewFileSet(), runtime, nil, parser.ImportsOnly)
	if err != nil || len(file.Imports) == 0 {
		return nil, cleanup, nil // there is none, or none in the way; if it's broken, loading tells
	}
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{runtime: ""}})
	if err != nil {
		return nil, cleanup, err
	}
	temp, err := os.MkdirTemp("", "entsignal")
	if err != nil {
		return nil, cleanup, err
	}
	cleanup = func() { _ = os.RemoveAll(temp) } // what stays is one small file among temporary ones
	name := filepath.Join(temp, "overlay.json")
	if err := os.WriteFile(name, overlay, 0o600); err != nil {
		cleanup()
		return nil, func() {}, err
	}
	return []string{"-overlay=" + name}, cleanup, nil
}
