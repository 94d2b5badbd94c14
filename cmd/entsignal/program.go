package main

import (
	"bytes"
	"fmt"
	"go/format"
	"go/parser"
	"go/token"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"text/template"
)

// program is what init writes into cmd/signalbus, and the senders that it has.
type program struct {
	database string // of the flag --database
	pkg      string // of the flag --package
	test     bool   // of the flag --test
}

// The folders of the program and its senders.
var (
	programDir = filepath.Join("cmd", "signalbus")
	sendersDir = filepath.Join("internal", "senders")
)

// plan plans the flush program, the package with the project's senders, and their
// first test.
func (p program) plan(g *generator) ([]step, error) {
	main := filepath.Join(programDir, "main.go")
	there, err := filepath.Glob(filepath.Join(programDir, "*.go"))
	if err != nil {
		return nil, err
	}
	var steps []step
	if len(there) > 0 {
		steps = append(steps, step{path: there[0], do: toKeep, note: "the program exists"})
		if !p.test {
			return steps, nil
		}
	}
	data, known, err := p.data(g)
	if err != nil {
		return nil, err
	}
	if !known {
		return append(steps, step{
			path: main, do: byHand, lines: "entsignal init --package PATH\n",
			note: "the text of " + g.entc + " doesn't show the import path of the generated code; name it with",
		}), nil
	}
	if len(there) == 0 {
		content, err := executed(programTemplate, data)
		if err != nil {
			return nil, err
		}
		sendersStep, err := planSenders(data)
		if err != nil {
			return nil, err
		}
		steps = append(steps, step{path: main, do: toCreate, content: content}, sendersStep)
	}
	if p.test {
		testStep, err := planTest(g.dirs, data)
		if err != nil {
			return nil, err
		}
		steps = append(steps, testStep)
	}
	return steps, nil
}

// data returns what the templates are given. known is false if the import path of
// the generated code is not.
func (p program) data(g *generator) (data programData, known bool, err error) {
	pkg := p.pkg
	if pkg == "" {
		if _, pkg, known, err = g.generated(); err != nil || !known {
			return programData{}, false, err
		}
	}
	senders, err := importPath(sendersDir)
	if err != nil {
		return programData{}, false, err
	}
	data = programData{database: databases[p.database], Package: pkg, Senders: senders}
	if path.Base(pkg) != "ent" {
		data.Alias = "ent "
	}
	return data, true, nil
}

// planSenders plans the package with the senders. One that is there is kept.
func planSenders(data programData) (step, error) {
	name := filepath.Join(sendersDir, "senders.go")
	there, err := filepath.Glob(filepath.Join(sendersDir, "*.go"))
	if err != nil {
		return step{}, err
	}
	for _, file := range there {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			return step{}, fmt.Errorf("read the senders: %w", err)
		}
		if slices.Contains(declaredNames(parsed), "New") {
			return step{path: file, do: toKeep, note: "the senders exist"}, nil
		}
		name = filepath.Join(sendersDir, "signals.go")
	}
	content, err := executed(sendersTemplate, data)
	return step{path: name, do: toCreate, content: content}, err
}

// executed returns the Go file that a template makes.
func executed(text string, data any) ([]byte, error) {
	tmpl, err := template.New("").Parse(text)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := tmpl.Execute(&b, data); err != nil {
		return nil, err
	}
	return format.Source(b.Bytes())
}

// packageName returns the name of the generated package in a folder, which
// may have no Go file yet. ent makes it of the folder's name.
func packageName(dir string) (string, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	files, err := filepath.Glob(filepath.Join(abs, "*.go"))
	if err != nil {
		return "", err
	}
	for _, file := range files {
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.PackageClauseOnly)
		if err == nil && f.Name.Name != "main" && !strings.HasSuffix(f.Name.Name, "_test") {
			return f.Name.Name, nil
		}
	}
	return strings.ReplaceAll(filepath.Base(abs), "-", "_"), nil
}
