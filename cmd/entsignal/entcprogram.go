package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strconv"
	"strings"
)

const genPath = "entgo.io/ent/entc/gen"

// entcProgram is a Go program that calls entc.Generate, as far as its text tells.
type entcProgram struct {
	files map[string]*ast.File
	file  string // that has the call
	calls []*ast.CallExpr
}

// parseEntc returns the program of these files, or nil if they don't call
// entc.Generate. Files that aren't there or aren't Go tell nothing.
func parseEntc(files []string) *entcProgram {
	p := &entcProgram{files: make(map[string]*ast.File)}
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			continue
		}
		p.files[name] = file
		if entc := importName(file, entcPath); entc != "" {
			if calls := callsOf(file, entc, "Generate"); len(calls) > 0 {
				p.file, p.calls = name, append(p.calls, calls...)
			}
		}
	}
	if p.file == "" {
		return nil
	}
	return p
}

// schemas returns the schemas that are generated; known is false if there is one
// that the text doesn't tell.
func (p *entcProgram) schemas() (paths []string, known bool) {
	known = true
	for _, call := range p.calls {
		if len(call.Args) == 0 {
			continue
		}
		path, ok := p.text(call.Args[0], 0)
		if ok {
			paths = append(paths, path)
		}
		known = known && ok
	}
	return paths, known
}

// field returns the value of a field of gen.Config, empty if it isn't set; known
// is false if the text doesn't tell.
func (p *entcProgram) field(name string) (value string, known bool) {
	var values []ast.Expr
	configs := 0
	for _, file := range p.files {
		gen := importName(file, genPath)
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CompositeLit:
				if sel, ok := n.Type.(*ast.SelectorExpr); ok && sel.Sel.Name == "Config" && isIdent(sel.X, gen) {
					configs++
					values = append(values, valuesOf(n, name)...)
				}
			case *ast.AssignStmt:
				for i, left := range n.Lhs {
					if sel, ok := left.(*ast.SelectorExpr); ok && sel.Sel.Name == name && len(n.Rhs) == len(n.Lhs) {
						values = append(values, n.Rhs[i])
					}
				}
			}
			return true
		})
	}
	switch {
	case configs != 1 || len(values) > 1:
		return "", false
	case len(values) == 0:
		return "", true
	default:
		return p.text(values[0], 0)
	}
}

func valuesOf(lit *ast.CompositeLit, name string) (values []ast.Expr) {
	for _, elt := range lit.Elts {
		if kv, ok := elt.(*ast.KeyValueExpr); ok && isIdent(kv.Key, name) {
			values = append(values, kv.Value)
		}
	}
	return values
}

func isIdent(x ast.Expr, name string) bool {
	id, ok := x.(*ast.Ident)
	return ok && id.Name == name
}

// text returns the value of an expression: a string, a name that has one value,
// a sum of such, or filepath.Join of them.
func (p *entcProgram) text(x ast.Expr, depth int) (value string, ok bool) {
	const deepest = 10 // a name may be defined by itself, in another scope
	if depth > deepest {
		return "", false
	}
	switch x := x.(type) {
	case *ast.BasicLit:
		value, err := strconv.Unquote(x.Value)
		return value, err == nil && x.Kind == token.STRING
	case *ast.ParenExpr:
		return p.text(x.X, depth+1)
	case *ast.BinaryExpr:
		left, okLeft := p.text(x.X, depth+1)
		right, okRight := p.text(x.Y, depth+1)
		return left + right, okLeft && okRight && x.Op == token.ADD
	case *ast.CallExpr:
		if !isCall(x, "filepath", "Join") && !isCall(x, "path", "Join") {
			return "", false
		}
		var parts []string
		for _, arg := range x.Args {
			part, ok := p.text(arg, depth+1)
			if !ok {
				return "", false
			}
			parts = append(parts, part)
		}
		joined := filepath.ToSlash(filepath.Join(parts...))
		return joined, true
	case *ast.Ident:
		values := p.valuesOfName(x.Name)
		if len(values) != 1 {
			return "", false
		}
		return p.text(values[0], depth+1)
	default:
		return "", false
	}
}

// valuesOfName returns all that the program gives to a name.
func (p *entcProgram) valuesOfName(name string) (values []ast.Expr) {
	for _, file := range p.files {
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.ValueSpec:
				for i, id := range n.Names {
					if id.Name == name && i < len(n.Values) {
						values = append(values, n.Values[i])
					}
				}
			case *ast.AssignStmt:
				for i, left := range n.Lhs {
					if isIdent(left, name) && len(n.Rhs) == len(n.Lhs) {
						values = append(values, n.Rhs[i])
					} else if isIdent(left, name) {
						values = append(values, n.Rhs[0]) // a call: no text
					}
				}
			}
			return true
		})
	}
	return values
}

// goFilesOf returns the files of a program: those that are named, or those of the
// package in a folder.
func goFilesOf(dir string, targets []string, root, module string) []string {
	if len(targets) == 0 {
		return nil
	}
	if strings.HasSuffix(targets[0], ".go") {
		files := make([]string, len(targets))
		for i, target := range targets {
			files[i] = under(dir, target)
		}
		return files
	}
	pkg := targets[0]
	switch inModule, ok := strings.CutPrefix(pkg, module+"/"); {
	case ok:
		pkg = filepath.Join(root, inModule)
	case strings.HasPrefix(pkg, ".") || filepath.IsAbs(pkg):
		pkg = under(dir, pkg)
	default:
		return nil // of another module
	}
	files, err := filepath.Glob(filepath.Join(pkg, "*.go"))
	if err != nil {
		return nil // a folder with brackets in its name
	}
	return files
}

// under returns a path as seen from a folder.
func under(dir, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}
