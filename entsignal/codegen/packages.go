package codegen

import (
	"bytes"
	"cmp"
	"errors"
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// packages type-checks a generated package and the packages below it. Other
// packages are not read, because that would take long and need a module that is in
// order. A name of such a package is assumed to be anything.
type packages struct {
	dir, path string // of the generated package
	files     *token.FileSet
	done      map[string]*types.Package
	generated map[string][]byte // the code of the generated files, by path
	errs      []types.Error     // of all packages
}

func newPackages(dir, path string) *packages {
	return &packages{dir: dir, path: path, files: token.NewFileSet(), done: make(map[string]*types.Package), generated: make(map[string][]byte)}
}

// checkedPackage is one of the packages.
type checkedPackage struct {
	*packages
	pkg  *types.Package
	info types.Info
}

var errElsewhere = errors.New("not a generated package")

// Import implements [types.Importer].
func (p *packages) Import(path string) (*types.Package, error) {
	if !strings.HasPrefix(path, p.path+"/") {
		return nil, errElsewhere
	}
	if pkg, ok := p.done[path]; ok {
		return pkg, nil
	}
	c, err := p.check(path)
	if err != nil {
		return nil, err
	}
	p.done[path] = c.pkg
	return c.pkg, nil
}

// check checks the package with this path.
func (p *packages) check(path string) (*checkedPackage, error) {
	files, err := p.parse(filepath.Join(p.dir, filepath.FromSlash(strings.TrimPrefix(path, p.path))))
	if err != nil {
		return nil, err
	}
	imports := make(map[token.Pos]bool)
	for _, file := range files {
		for _, spec := range file.Imports {
			imports[spec.Path.Pos()] = true
		}
	}
	c := &checkedPackage{packages: p, info: types.Info{Defs: make(map[*ast.Ident]types.Object), Uses: make(map[*ast.Ident]types.Object)}}
	config := types.Config{Importer: p, FakeImportC: true, Error: func(err error) {
		var at types.Error
		if errors.As(err, &at) && !at.Soft && !imports[at.Pos] {
			p.errs = append(p.errs, at)
		}
	}}
	c.pkg, _ = config.Check(path, p.files, files, &c.info) // errs has its error
	return c, nil
}

// parse returns the files in dir that are built and can be parsed. The project may
// have files of its own there.
func (p *packages) parse(dir string) (files []*ast.File, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		name := e.Name()
		if built, err := build.Default.MatchFile(dir, name); err != nil || !built || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			continue
		}
		path := filepath.Join(dir, name)
		code, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		file, err := parser.ParseFile(p.files, path, code, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			continue
		}
		files = append(files, file)
		if ast.IsGenerated(file) {
			p.generated[path] = code
		}
	}
	return files, nil
}

// line returns a line of a generated file; it returns nothing for other files.
func (p *packages) line(at token.Position) []byte {
	code, ok := p.generated[at.Filename]
	if !ok {
		return nil
	}
	return bytes.Split(code, []byte("\n"))[at.Line-1]
}

// functions returns the functions and methods of a file, in their order.
func (c *checkedPackage) functions(file string) (all []*types.Func) {
	for _, object := range c.info.Defs {
		if f, ok := object.(*types.Func); ok && c.in(file, f.Pos()) {
			all = append(all, f)
		}
	}
	slices.SortFunc(all, func(a, b *types.Func) int { return cmp.Compare(a.Pos(), b.Pos()) })
	return all
}

// calls reports whether another file than this one names f.
func (c *checkedPackage) calls(f *types.Func, file string) bool {
	for ident, object := range c.info.Uses {
		if object == f && !c.in(file, ident.Pos()) {
			return true
		}
	}
	return false
}

func (c *checkedPackage) in(file string, pos token.Pos) bool {
	return c.files.Position(pos).Filename == file
}

// name returns the name of f without the path of its package.
func (c *checkedPackage) name(f *types.Func) string {
	return strings.ReplaceAll(f.FullName(), c.pkg.Path()+".", "")
}
