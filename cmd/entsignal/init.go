package main

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/entsignal/signalbus/cmd/internal/cli"
)

func newInitCommand() *cobra.Command {
	var (
		dir, pkg string
		withTest bool
		database = cli.NewEnum("postgres", "postgres", "mysql", "sqlite")
	)
	c := &cobra.Command{
		Use:   "init",
		Short: "Add a signal bus to an ent project",
		Long: `Add a signal bus to the ent project in this folder:

  ent/entc.go                   runs the code generator with the extension for signals
  ent/generate.go               has the line with which "go generate ./ent" runs it
  cmd/signalbus/main.go         the project's own program that flushes signals
  internal/senders/senders.go   its senders, for you to fill in

With --test also internal/senders/signals_test.go: a first test, of a signal that
the schema has, on SQLite and with senders that record.

Missing files are created. If the project generates its code from another place,
the go:generate lines show where, and the flags of a line that runs "ent generate"
are moved into entc.go. entc.go and the go:generate line are changed only if they
look as ent writes them, and everything else in them is kept. Otherwise the lines
to add are printed, and the exit code is 1. A program in cmd/signalbus is never
changed. Steps that are done already are not repeated.`,
		Example: `  entsignal init
  entsignal init --database sqlite
  entsignal init --schema ./db/schema
  entsignal init --test`,
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(c *cobra.Command, _ []string) error {
			d, err := findDirs(dir)
			if err != nil {
				return err
			}
			return initProject(c.OutOrStdout(), d, program{database: database.Value, pkg: pkg, test: withTest})
		},
	}
	schemaFlag(c, &dir)
	c.Flags().Var(&database, "database", "the database of cmd/signalbus")
	complete := cobra.FixedCompletions(database.Allowed, cobra.ShellCompDirectiveNoFileComp)
	if err := c.RegisterFlagCompletionFunc("database", complete); err != nil {
		panic(err) // the flag is there
	}
	c.Flags().BoolVar(&withTest, "test", false, "write a first test of a signal, too")
	c.Flags().StringVar(&pkg, "package", "", "the import `path` of the generated code, if entc.go computes it")
	return c
}

// What is to be done with a file.
const (
	toCreate = "created"
	toChange = "changed"
	toKeep   = "kept"    // it is as it should be
	byHand   = "by hand" // the user must change it
)

// step is what is to be done with one file.
type step struct {
	path    string
	do      string
	content []byte // of toCreate and toChange
	note    string // why, of toKeep; why and what to do with the lines, of byHand
	lines   string // of byHand
}

// initProject plans all steps before it takes the first, so that a file that
// can't be read leaves the project as it was.
func initProject(w io.Writer, d dirs, p program) error {
	g, err := findGenerator(d)
	if err != nil {
		return err
	}
	var steps []step
	for _, plan := range []func(*generator) (step, error){planEntc, planGenerate} {
		s, err := plan(g)
		if err != nil {
			return err
		}
		steps = append(steps, s)
	}
	steps = append(steps, planTwice(g)...)
	programSteps, err := p.plan(g)
	if err != nil {
		return err
	}
	steps = append(steps, programSteps...)
	count := make(map[string]int)
	for _, s := range steps {
		count[s.do]++
	}
	if count[toKeep] == len(steps) {
		fmt.Fprintln(w, "nothing to do: the project has a signal bus")
		return nil
	}
	for _, s := range steps {
		if err := s.take(); err != nil {
			return err
		}
		s.print(w)
	}
	if n := count[byHand]; n > 0 {
		return fmt.Errorf("%d of %d steps must be done by hand, as described above", n, len(steps))
	}
	if g.run == "" {
		fmt.Fprintf(w, "next: run %s as before, then go mod tidy\n", g.entc)
		return nil
	}
	fmt.Fprintf(w, "next: go generate %s && go mod tidy\n", filepath.ToSlash(dotted(g.run)))
	return nil
}

func (s step) take() error {
	switch s.do {
	case toCreate:
		return create(s.path, s.content)
	case toChange:
		return replace(s.path, s.content)
	default:
		return nil
	}
}

func (s step) print(w io.Writer) {
	switch s.do {
	case toKeep:
		fmt.Fprintf(w, "%s %s: %s\n", s.do, s.path, s.note)
	case byHand:
		fmt.Fprintf(w, "%s %s: %s:\n\n%s\n", s.do, s.path, s.note, indent(s.lines))
	default:
		fmt.Fprintf(w, "%s %s\n", s.do, s.path)
	}
}

// indent sets lines off from the messages around them.
func indent(lines string) string {
	var b strings.Builder
	for line := range strings.Lines(lines) {
		if line != "\n" {
			b.WriteString("    ")
		}
		b.WriteString(line)
	}
	return b.String()
}
