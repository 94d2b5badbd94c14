package main

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
)

func newInitCommand() *cobra.Command {
	var dir string
	c := &cobra.Command{
		Use:   "init",
		Short: "Add a signal bus to an ent project",
		Long: `Add a signal bus to the ent project in this folder:

  ent/entc.go             the code generator, with the extension for signals
  ent/generate.go         the line by which "go generate ./ent" runs it
  cmd/signalbus/main.go   the project's own program that flushes signals;
                          fill in its senders

Files that are missing are created. entc.go and generate.go are changed if they
look as ent writes them, and all else in them is kept; for one that looks
otherwise the lines to add are printed, and the exit code is 1. A program in
cmd/signalbus is never changed. What is done already is not done again.`,
		Example: `  entsignal init
  entsignal init --schema ./db/schema`,
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(c *cobra.Command, _ []string) error {
			d, err := findDirs(dir)
			if err != nil {
				return err
			}
			return initProject(c.OutOrStdout(), d)
		},
	}
	schemaFlag(c, &dir)
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
	note    string // why, of toKeep and byHand
	lines   string // what to add, of byHand
}

// initProject plans all steps before it takes the first, so that a file that
// can't be read leaves the project as it was.
func initProject(w io.Writer, d dirs) error {
	var steps []step
	for _, plan := range []func(dirs) (step, error){planEntc, planGenerate, planProgram} {
		s, err := plan(d)
		if err != nil {
			return err
		}
		steps = append(steps, s)
	}
	count := make(map[string]int)
	for _, s := range steps {
		count[s.do]++
	}
	if count[toKeep] == len(steps) {
		fmt.Fprintln(w, "nothing to do: the project has its signal bus")
		return nil
	}
	for _, s := range steps {
		if err := s.take(); err != nil {
			return err
		}
		s.print(w)
	}
	if n := count[byHand]; n > 0 {
		return fmt.Errorf("%d of %d files must be changed by hand, as told above", n, len(steps))
	}
	fmt.Fprintf(w, "next: go generate %s && go mod tidy\n", filepath.ToSlash(dotted(d.ent)))
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
		fmt.Fprintf(w, "%s %s: %s; add:\n\n%s\n", s.do, s.path, s.note, indent(s.lines))
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
