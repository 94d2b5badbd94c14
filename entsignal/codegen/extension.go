// Package codegen is the ent extension that generates the signal bus of a project.
// Only the project's entc.go imports it:
//
//	ex, err := codegen.NewExtension()
//	if err != nil {
//		log.Fatal(err)
//	}
//	err = entc.Generate("./schema", &gen.Config{}, entc.Extensions(ex))
//
// It adds the file signal_bus.go to the generated package. If an annotation is used
// incorrectly, the generation fails before any file is written, with an error that
// names the schema.
package codegen

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"entgo.io/ent/entc"
	"entgo.io/ent/entc/gen"
)

//go:embed template/*.tmpl
var templates embed.FS

// Extension is the ent extension; see [NewExtension].
type Extension struct {
	entc.DefaultExtension
	template *gen.Template
}

// An Option configures an [Extension]. There are no options yet.
type Option func(*Extension) error

// NewExtension returns the extension that generates signal buses.
func NewExtension(opts ...Option) (*Extension, error) {
	t, err := gen.NewTemplate("signal_bus").Funcs(gen.Funcs).Funcs(funcs()).ParseFS(templates, "template/*.tmpl")
	if err != nil {
		return nil, fmt.Errorf("entsignal: parse templates: %w", err)
	}
	ex := &Extension{template: t}
	for _, opt := range opts {
		if err := opt(ex); err != nil {
			return nil, fmt.Errorf("entsignal: %w", err)
		}
	}
	return ex, nil
}

// Templates implements [entc.Extension].
func (ex *Extension) Templates() []*gen.Template { return []*gen.Template{ex.template} }

// Hooks implements [entc.Extension].
func (ex *Extension) Hooks() []gen.Hook {
	return []gen.Hook{func(next gen.Generator) gen.Generator {
		return gen.GenerateFunc(func(g *gen.Graph) error {
			signals, err := checked(g)
			if err == nil {
				err = addOrderIndexes(signals)
			}
			if err != nil {
				return errors.Join(err, restoreRuntime(g.Target))
			}
			hideEdges(g)
			return ex.generate(g, next)
		})
	}}
}

// checked returns the signals of a graph, or all their errors.
func checked(g *gen.Graph) ([]*signal, error) {
	if g.Storage != nil && g.Storage.Name != "sql" {
		return nil, fmt.Errorf("entsignal: storage %s is not supported; expected sql", g.Storage.Name)
	}
	signals, err := signalsOf(g)
	_, inboxErr := inboxesOf(g)
	errs := []error{err, inboxErr}
	errs = append(errs, checkNames(g, signals)...)
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return signals, nil
}

// runtimeMark is the line that ent puts at the top of the generated runtime.go
// while it loads the schema.
const runtimeMark = "// +build tools\n"

// restoreRuntime removes the mark again. Normally ent does so by writing the file
// anew; if the generation fails, ent leaves the mark in the file.
func restoreRuntime(target string) error {
	path := filepath.Join(target, "runtime.go")
	marked, err := os.ReadFile(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("entsignal: %w", err)
	}
	content, ok := bytes.CutPrefix(marked, []byte(runtimeMark))
	if !ok {
		return nil
	}
	if err := os.WriteFile(path, content, 0o644); err != nil {
		return fmt.Errorf("entsignal: %w", err)
	}
	return nil
}
