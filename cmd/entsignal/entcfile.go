package main

import (
	"bytes"
	"errors"
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"strings"
)

const (
	codegenPath = "github.com/entsignal/signalbus/entsignal/codegen"
	entcPath    = "entgo.io/ent/entc"
)

// planEntc plans entc.go.
func planEntc(g *generator) (step, error) {
	if g.unsure {
		return step{path: g.entc, do: byHand, note: "it may generate this schema, but its text doesn't show it; if it does, add", lines: entcLines}, nil
	}
	content, exists, err := read(g.entc)
	if err != nil {
		return step{}, err
	}
	if !exists {
		return newEntc(g)
	}
	patched, err := patchEntc(content)
	var not notAsEnt
	switch {
	case errors.As(err, &not):
		return step{path: g.entc, do: byHand, note: string(not) + "; add", lines: entcLines}, nil
	case err != nil:
		return step{}, fmt.Errorf("read %s: %w", g.entc, err)
	case patched == nil:
		return step{path: g.entc, do: toKeep, note: "it has the extension"}, nil
	default:
		return step{path: g.entc, do: toChange, content: patched}, nil
	}
}

// notAsEnt says why a file isn't one that can be changed safely.
type notAsEnt string

func (e notAsEnt) Error() string { return string(e) }

// patchEntc adds the extension to an entc.go. It returns nil if the file has
// it, and notAsEnt if the file isn't one it can be sure about.
func patchEntc(src []byte) ([]byte, error) {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, "", src, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	if name := importName(file, codegenPath); name != "" {
		if len(callsOf(file, name, "NewExtension")) > 0 {
			return nil, nil
		}
		return nil, notAsEnt("it imports the extension and doesn't use it")
	}
	entc := importName(file, entcPath)
	if entc == "" || entc == "." || entc == "_" {
		return nil, notAsEnt("it doesn't import " + entcPath + " under a name")
	}
	calls := callsOf(file, entc, "Generate")
	main := mainOf(file)
	if len(calls) != 1 || main == nil || len(calls[0].Args) < 2 {
		return nil, notAsEnt("its main doesn't have exactly one call of entc.Generate with a schema and a config")
	}
	at := slices.IndexFunc(main.Body.List, func(s ast.Stmt) bool { return s.Pos() <= calls[0].Pos() && calls[0].End() <= s.End() })
	if at < 0 {
		return nil, notAsEnt("its main doesn't call entc.Generate")
	}
	if log := importName(file, "log"); log != "log" && (log != "" || uses(file, "log")) {
		return nil, notAsEnt("in it the name log is not that of the package log")
	}
	if uses(file, "signalBus") || uses(file, "codegen") {
		return nil, notAsEnt("it uses the names signalBus or codegen for something else")
	}
	p := &patch{fset: fset, file: file, src: src}
	p.addImports()
	if err := p.addVariable(main.Body.List, at); err != nil {
		return nil, err
	}
	p.addOption(calls[0], entc)
	return p.apply()
}

// patch is a set of insertions and replacements in a source file. Working on
// the text keeps the user's comments and layout.
type patch struct {
	fset  *token.FileSet
	file  *ast.File
	src   []byte
	edits []edit
}

type edit struct {
	from, to int
	text     string
}

func (p *patch) offset(pos token.Pos) int { return p.fset.Position(pos).Offset }

func (p *patch) insert(at int, text string) { p.edits = append(p.edits, edit{at, at, text}) }

// addImports imports the extension, and log if it isn't.
func (p *patch) addImports() {
	paths := []string{codegenPath}
	if importName(p.file, "log") == "" {
		paths = append(paths, "log")
	}
	last := p.file.Imports[len(p.file.Imports)-1]
	end := p.lineEnd(p.offset(last.End()))
	for _, path := range paths {
		line := "\n\t" + strconv.Quote(path)
		if !p.parenthesised(last) {
			line = "\nimport " + strconv.Quote(path)
		}
		p.insert(end, line)
	}
}

// parenthesised reports whether an import stands among others in parentheses.
func (p *patch) parenthesised(spec *ast.ImportSpec) bool {
	return slices.ContainsFunc(p.file.Decls, func(d ast.Decl) bool {
		g, ok := d.(*ast.GenDecl)
		return ok && g.Lparen.IsValid() && g.Pos() <= spec.Pos() && spec.End() <= g.End()
	})
}

// lineEnd returns where the line ends that has the offset.
func (p *patch) lineEnd(offset int) int {
	if i := bytes.IndexByte(p.src[offset:], '\n'); i >= 0 {
		return offset + i
	}
	return len(p.src)
}

// addVariable makes the extension, in front of the statement that generates.
// It declares err, so no statement after it may declare err alone.
func (p *patch) addVariable(stmts []ast.Stmt, at int) error {
	for i, stmt := range stmts[at:] {
		define, ok := stmt.(*ast.AssignStmt)
		if !ok || define.Tok != token.DEFINE || !isName(define.Lhs, "err") {
			continue
		}
		if i > 0 {
			return notAsEnt("its main declares err after it has called entc.Generate")
		}
		from := p.offset(define.TokPos)
		p.edits = append(p.edits, edit{from, from + len(":="), "="})
	}
	for _, stmt := range stmts[at:] {
		if decl, ok := stmt.(*ast.DeclStmt); ok && declaresErr(decl) {
			return notAsEnt("its main declares err by var")
		}
	}
	p.insert(p.offset(p.begin(stmts[at])), `signalBus, err := codegen.NewExtension()
	if err != nil {
		log.Fatalf("creating the extension for signals: %v", err)
	}
	`)
	return nil
}

// begin returns where a statement begins, with the comment right above it.
func (p *patch) begin(stmt ast.Stmt) token.Pos {
	line := p.fset.Position(stmt.Pos()).Line
	for _, comment := range p.file.Comments {
		if p.fset.Position(comment.End()).Line == line-1 && !p.besideCode(comment) {
			return comment.Pos()
		}
	}
	return stmt.Pos()
}

// besideCode reports whether a comment follows code on its first line.
func (p *patch) besideCode(comment *ast.CommentGroup) bool {
	at := p.offset(comment.Pos())
	line := p.src[bytes.LastIndexByte(p.src[:at], '\n')+1 : at]
	return len(bytes.TrimSpace(line)) > 0
}

// isName reports whether a list of expressions is this name alone.
func isName(list []ast.Expr, name string) bool {
	if len(list) != 1 {
		return false
	}
	id, ok := list[0].(*ast.Ident)
	return ok && id.Name == name
}

func declaresErr(decl *ast.DeclStmt) (found bool) {
	ast.Inspect(decl, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		found = found || ok && slices.ContainsFunc(spec.Names, func(id *ast.Ident) bool { return id.Name == "err" })
		return !found
	})
	return found
}

// addOption gives the extension to the generator: to the option Extensions if
// the call has one, else as one more option.
func (p *patch) addOption(call *ast.CallExpr, entc string) {
	option := entc + ".Extensions(signalBus)"
	if call.Ellipsis.IsValid() {
		opts := call.Args[len(call.Args)-1]
		p.insert(p.offset(opts.Pos()), "append(")
		p.insert(p.offset(opts.End()), ", "+option+")")
		return
	}
	for _, arg := range call.Args[2:] {
		extensions, ok := arg.(*ast.CallExpr)
		if ok && isCall(extensions, entc, "Extensions") && !extensions.Ellipsis.IsValid() && len(extensions.Args) > 0 {
			p.insert(p.offset(extensions.Args[len(extensions.Args)-1].End()), ", signalBus")
			return
		}
	}
	p.insert(p.offset(call.Args[len(call.Args)-1].End()), ", "+option)
}

// apply returns the changed source, in gofmt's form if it was so before.
func (p *patch) apply() ([]byte, error) {
	slices.SortStableFunc(p.edits, func(a, b edit) int { return a.from - b.from })
	var b bytes.Buffer
	done := 0
	for _, e := range p.edits {
		b.Write(p.src[done:e.from])
		b.WriteString(e.text)
		done = e.to
	}
	b.Write(p.src[done:])
	formatted, err := format.Source(b.Bytes())
	if err != nil {
		return nil, notAsEnt("the changed file would not be valid Go")
	}
	if was, err := format.Source(p.src); err == nil && bytes.Equal(was, p.src) {
		return formatted, nil
	}
	return b.Bytes(), nil
}

// importName returns the name by which a file knows a package, or nothing if
// it doesn't import it.
func importName(file *ast.File, path string) string {
	for _, spec := range file.Imports {
		switch {
		case spec.Path.Value != strconv.Quote(path):
		case spec.Name != nil:
			return spec.Name.Name
		default:
			return path[strings.LastIndex(path, "/")+1:]
		}
	}
	return ""
}

// callsOf returns the calls of a function of another package.
func callsOf(file *ast.File, pkg, name string) (calls []*ast.CallExpr) {
	ast.Inspect(file, func(n ast.Node) bool {
		if call, ok := n.(*ast.CallExpr); ok && isCall(call, pkg, name) {
			calls = append(calls, call)
		}
		return true
	})
	return calls
}

func isCall(call *ast.CallExpr, pkg, name string) bool {
	sel, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || sel.Sel.Name != name {
		return false
	}
	x, ok := sel.X.(*ast.Ident)
	return ok && x.Name == pkg
}

// mainOf returns the function main of a file.
func mainOf(file *ast.File) *ast.FuncDecl {
	for _, decl := range file.Decls {
		if f, ok := decl.(*ast.FuncDecl); ok && f.Name.Name == "main" && f.Recv == nil && f.Body != nil {
			return f
		}
	}
	return nil
}

// uses reports whether a file has an identifier of that name, as an import's
// default name too.
func uses(file *ast.File, name string) (found bool) {
	for _, spec := range file.Imports {
		if path, err := strconv.Unquote(spec.Path.Value); err == nil && spec.Name == nil && path[strings.LastIndex(path, "/")+1:] == name {
			return true
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		id, ok := n.(*ast.Ident)
		found = found || ok && id.Name == name
		return !found
	})
	return found
}
