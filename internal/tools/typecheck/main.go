// Command typecheck checks the types of the packages of the module in the working
// directory, with their tests, as they are compiled for other systems. It reads the
// source of what they import and compiles nothing, not even the standard library;
// go vet and go build would compile all of that for each system.
//
// Usage:
//
//	typecheck GOOS/GOARCH...
package main

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/tools/go/packages"
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: typecheck GOOS/GOARCH...")
		os.Exit(2)
	}
	failed := false
	for _, system := range os.Args[1:] {
		if err := check(system); err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", system, err)
			failed = true
		}
	}
	if failed {
		os.Exit(1)
	}
}

// check returns what is wrong with the packages on a system.
func check(system string) error {
	goos, goarch, ok := strings.Cut(system, "/")
	if !ok {
		return errors.New("expected GOOS/GOARCH")
	}
	dir, err := os.Getwd()
	if err != nil {
		return err
	}
	roots, err := packages.Load(&packages.Config{
		Mode: packages.NeedName | packages.NeedFiles | packages.NeedCompiledGoFiles | packages.NeedImports |
			packages.NeedDeps | packages.NeedTypes | packages.NeedSyntax | packages.NeedTypesSizes,
		Dir:   dir,
		Env:   append(os.Environ(), "GOOS="+goos, "GOARCH="+goarch, "CGO_ENABLED=0"),
		Tests: true,
		ParseFile: func(set *token.FileSet, name string, src []byte) (*ast.File, error) {
			file, err := parser.ParseFile(set, name, src, parser.SkipObjectResolution)
			if file != nil && !strings.HasPrefix(name, dir+string(filepath.Separator)) {
				dropBodies(file)
			}
			return file, err
		},
	}, "./...")
	if err != nil {
		return err
	}
	if len(roots) == 0 {
		return errors.New("no packages")
	}
	var wrong []error
	seen := map[string]bool{} // a package and its test variant have the same errors
	for _, root := range roots {
		if strings.HasSuffix(root.ID, ".test") { // the program that go test generates
			continue
		}
		for _, e := range root.Errors {
			if !seen[e.Error()] {
				seen[e.Error()] = true
				wrong = append(wrong, e)
			}
		}
	}
	return errors.Join(wrong...)
}

// dropBodies leaves of an imported package what others see of it. Empty bodies stay,
// because an init function must have one.
func dropBodies(file *ast.File) {
	for _, d := range file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Body != nil {
			f.Body = &ast.BlockStmt{Lbrace: f.Body.Lbrace, Rbrace: f.Body.Rbrace}
		}
	}
}
