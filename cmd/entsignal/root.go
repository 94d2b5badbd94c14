package main

import (
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/entsignal/signalbus/cmd/internal/cli"
	"github.com/entsignal/signalbus/cmd/signalcli"
)

// run is the program: it returns the exit code.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := newRootCommand()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	return signalcli.ExitCode(root.Execute())
}

func newRootCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "entsignal",
		Short: "Add a signal bus to an ent project",
		Long: `Add a signal bus to an ent project, and signals to its schema.

  entsignal init              once: adds signals to the code generator
  entsignal new OrderPlaced   adds a signal; then write its fields
  go generate ./ent           generates the bus, and the client of each signal

Run it in the folder that contains the folder "ent". The programs of the project
send the signals; "init" writes the program that flushes them.

Exit code: 0 success, 1 failure, 2 wrong usage.`,
		// Without Args and RunE cobra takes a missing command for a wish to
		// read the help, and exits 0.
		Args:         commandOnly,
		RunE:         func(*cobra.Command, []string) error { return nil },
		SilenceUsage: true,
	}
	c.SetFlagErrorFunc(func(c *cobra.Command, err error) error { return cli.NewUsageError(c, err) })
	c.AddCommand(
		newInitCommand(),
		newNewCommand(),
		newSignalsCommand(),
		newVersionCommand(),
	)
	return c
}

// commandOnly is what the root says when cobra found no command.
func commandOnly(c *cobra.Command, args []string) error {
	var names []string
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() && sub.Name() != "help" && sub.Name() != "completion" {
			names = append(names, sub.Name())
		}
	}
	known := strings.Join(names, ", ")
	if len(args) == 0 {
		return cli.UsageErrorf(c, "missing command; expected one of: %s", known)
	}
	hint := ""
	c.SuggestionsMinimumDistance = 2
	if near := c.SuggestionsFor(args[0]); len(near) > 0 {
		hint = " (did you mean \"" + near[0] + "\"?)"
	}
	return cli.UsageErrorf(c, "unknown command %q%s; expected one of: %s", args[0], hint, known)
}

// noArgs refuses arguments.
func noArgs(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return cli.UsageErrorf(c, "unexpected argument %q; %s takes none", args[0], c.Name())
	}
	return nil
}

// schemaFlag adds the flag by which three of the commands find the schema.
func schemaFlag(c *cobra.Command, dir *string) {
	c.Flags().StringVar(dir, "schema", "./ent/schema", "the `folder` with the schema")
	if err := c.MarkFlagDirname("schema"); err != nil {
		panic(err) // the flag is there
	}
}
