package main

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/build"
	"go/doc"
	"go/parser"
	"go/printer"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
)

// list returns the exported symbols of the package in a folder, sorted.
func list(dir string) ([]string, error) {
	pkg, err := build.ImportDir(dir, 0)
	if err != nil {
		return nil, err
	}
	fset := token.NewFileSet()
	var files []*ast.File
	for _, name := range pkg.GoFiles {
		f, err := parser.ParseFile(fset, filepath.Join(dir, name), nil, parser.ParseComments)
		if err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	d, err := doc.NewFromFiles(fset, files, pkg.ImportPath)
	if err != nil {
		return nil, err
	}
	l := lister{fset: fset}
	l.values("const", d.Consts)
	l.values("var", d.Vars)
	l.funcs(d.Funcs)
	for _, t := range d.Types {
		l.types(t)
	}
	slices.Sort(l.lines)
	return l.lines, nil
}

type lister struct {
	fset  *token.FileSet
	lines []string
}

func (l *lister) add(format string, args ...any) {
	l.lines = append(l.lines, fmt.Sprintf(format, args...))
}

// text returns a node on one line.
func (l *lister) text(node any) string {
	var b bytes.Buffer
	if err := printer.Fprint(&b, l.fset, node); err != nil {
		return err.Error()
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

func (l *lister) values(kind string, all []*doc.Value) {
	for _, v := range all {
		for _, name := range v.Names {
			if ast.IsExported(name) {
				l.add("%s %s%s", kind, name, l.typeOf(v.Decl, name))
			}
		}
	}
}

// typeOf returns the type that a declaration gives a name, if it says one.
func (l *lister) typeOf(decl *ast.GenDecl, name string) string {
	for _, spec := range decl.Specs {
		v := spec.(*ast.ValueSpec)
		if v.Type != nil && slices.ContainsFunc(v.Names, func(id *ast.Ident) bool { return id.Name == name }) {
			return " " + l.text(v.Type)
		}
	}
	return ""
}

func (l *lister) funcs(all []*doc.Func) {
	for _, f := range all {
		decl := *f.Decl
		decl.Doc, decl.Body = nil, nil
		l.add("%s", l.text(&decl))
	}
}

func (l *lister) types(t *doc.Type) {
	l.values("const", t.Consts)
	l.values("var", t.Vars)
	l.funcs(t.Funcs)
	l.funcs(t.Methods)
	for _, spec := range t.Decl.Specs {
		spec := *spec.(*ast.TypeSpec)
		spec.Doc, spec.Comment = nil, nil
		name := "type " + l.text(&ast.TypeSpec{Name: spec.Name, TypeParams: spec.TypeParams, Type: ast.NewIdent("")})
		switch typ := spec.Type.(type) {
		case *ast.StructType:
			l.add("%s struct", name)
			l.members(name+" struct", typ.Fields)
		case *ast.InterfaceType:
			l.add("%s interface", name)
			l.members(name+" interface", typ.Methods)
		default:
			l.add("type %s", l.text(&spec))
		}
	}
}

// members lists exported fields, with their tags, and methods of an interface.
func (l *lister) members(of string, fields *ast.FieldList) {
	for _, f := range fields.List {
		tag := ""
		if f.Tag != nil {
			tag = " " + f.Tag.Value
		}
		if len(f.Names) == 0 {
			l.add("%s, %s%s", of, l.text(f.Type), tag)
		}
		for _, name := range f.Names {
			if ast.IsExported(name.Name) {
				l.add("%s, %s %s%s", of, name.Name, l.text(f.Type), tag)
			}
		}
	}
}
