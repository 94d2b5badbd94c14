package main

import (
	"bytes"
	"errors"
	"fmt"
	"go/build"
	"go/parser"
	"go/token"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/template"

	"github.com/spf13/cobra"

	"github.com/entsignal/signalbus/cmd/internal/cli"
	"github.com/entsignal/signalbus/entsignal/codegen"
)

func newNewCommand() *cobra.Command {
	var dir string
	c := &cobra.Command{
		Use:   "new NAME...",
		Short: "Write the schema of one or more signals",
		Long: `Write the schema of one or more signals: an ent schema with the mixin that makes
it a signal, a burst count of 500, and no fields yet. A name is a Go identifier
that begins with an upper-case letter, such as OrderPlaced.

If one of the names can't be used, or exists already, nothing is written.`,
		Example: `  entsignal new OrderPlaced
  entsignal new --schema ./db/schema UserJoined UserLeft`,
		Args: func(c *cobra.Command, names []string) error {
			if len(names) == 0 {
				return cli.UsageErrorf(c, "missing name; expected one or more, such as: entsignal new OrderPlaced")
			}
			if err := checkNames(names); err != nil {
				return cli.NewUsageError(c, err)
			}
			return nil
		},
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(c *cobra.Command, names []string) error {
			return newSchemas(c.OutOrStdout(), dirsOf(dir), names)
		},
	}
	schemaFlag(c, &dir)
	return c
}

// checkNames returns all that is wrong with the names of new schemas.
func checkNames(names []string) error {
	var errs []error
	files := make(map[string]string)
	for _, name := range names {
		if err := checkName(name); err != nil {
			errs = append(errs, err)
			continue
		}
		file := schemaFile(name)
		if other, ok := files[file]; ok {
			errs = append(errs, fmt.Errorf("names %s and %s: both would be in the file %s", other, name, file))
		}
		files[file] = name
	}
	return errors.Join(errs...)
}

func checkName(name string) error {
	if !token.IsIdentifier(name) || !token.IsExported(name) {
		return fmt.Errorf("name %q: expected a Go identifier that begins with an upper-case letter, such as OrderPlaced", name)
	}
	if err := codegen.CheckName(name); err != nil {
		return fmt.Errorf("name %q: %w", name, err)
	}
	if !built(schemaFile(name)) {
		return fmt.Errorf("name %q: Go would ignore a file named %s", name, schemaFile(name))
	}
	return nil
}

// built reports whether a file of that name is part of its package on this
// machine; names that end with _test, _linux and the like need not be.
func built(file string) bool {
	b := build.Default
	b.OpenFile = func(string) (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader("package schema\n")), nil
	}
	b.GOOS, b.GOARCH = "none", "none"
	ok, err := b.MatchFile(".", file)
	return err == nil && ok && !strings.HasSuffix(file, "_test.go")
}

// schemaFile returns the name that ent gives to the file of a schema.
func schemaFile(name string) string { return strings.ToLower(name) + ".go" }

// newSchemas writes the schemas, or none of them.
func newSchemas(w io.Writer, d dirs, names []string) error {
	pkg, err := checkSchemas(d.schema, names)
	if err != nil {
		return err
	}
	tmpl, err := template.New("schema").Parse(schemaTemplate)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(d.schema, 0o777); err != nil {
		return err
	}
	for _, name := range names {
		var b bytes.Buffer
		if err := tmpl.Execute(&b, map[string]string{"Package": pkg, "Name": name}); err != nil {
			return err
		}
		path := filepath.Join(d.schema, schemaFile(name))
		if err := create(path, b.Bytes()); err != nil {
			return err
		}
		fmt.Fprintf(w, "created %s\n", path)
	}
	return nil
}

// checkSchemas returns the name of the package in a folder of schemas, and an
// error for each name that it has already.
func checkSchemas(dir string, names []string) (pkg string, err error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return "schema", nil
	}
	if err != nil {
		return "", err
	}
	pkg = "schema"
	files, types := make(map[string]bool), make(map[string]string)
	for _, entry := range entries {
		name := entry.Name()
		files[strings.ToLower(name)] = true // some file systems don't tell them apart
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(dir, name), nil, parser.SkipObjectResolution)
		if err != nil {
			return "", fmt.Errorf("read the schema: %w", err)
		}
		if file.Name.Name != "main" { // a program that the folder's package leaves out
			pkg = file.Name.Name
		}
		for _, declared := range declaredNames(file) {
			types[declared] = filepath.Join(dir, name)
		}
	}
	var errs []error
	for _, name := range names {
		switch file := schemaFile(name); {
		case files[file]:
			errs = append(errs, fmt.Errorf("%s: the file exists already; nothing was written", filepath.Join(dir, file)))
		case types[name] != "":
			errs = append(errs, fmt.Errorf("%s: declares %s already; nothing was written", types[name], name))
		}
	}
	return pkg, errors.Join(errs...)
}

// schemaTemplate is the schema of a new signal. The burst count is spelt out
// because the default, 1, is slow for a backlog.
const schemaTemplate = `package {{ .Package }}

import (
	"entgo.io/ent"
	"entgo.io/ent/schema"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/mixin"
)

// {{ .Name }} holds the schema definition for the {{ .Name }} signal.
// Each row is deleted as soon as it is sent.
type {{ .Name }} struct {
	ent.Schema
}

// Mixin of the {{ .Name }}.
func ({{ .Name }}) Mixin() []ent.Mixin {
	return []ent.Mixin{mixin.Signal{}}
}

// Fields of the {{ .Name }}.
func ({{ .Name }}) Fields() []ent.Field {
	return nil
}

// Annotations of the {{ .Name }}.
func ({{ .Name }}) Annotations() []schema.Annotation {
	return []schema.Annotation{
		entsignal.BurstCount(500), // how many rows a flush sends in one transaction
	}
}
`
