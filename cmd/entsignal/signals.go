package main

import (
	"encoding/json"
	"fmt"

	"entgo.io/ent/entc"
	"entgo.io/ent/entc/gen"
	"github.com/spf13/cobra"

	"github.com/entsignal/signalbus/cmd/internal/cli"
	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/entsignal/codegen"
)

func newSignalsCommand() *cobra.Command {
	var dir string
	output := cli.NewEnum("text", "text", "json")
	c := &cobra.Command{
		Use:   "signals",
		Short: "Check and list the signals of a schema",
		Long: `Check and list the signals of a schema: their tables, whether a commit sends
them, how many rows a flush takes at once (1 where the schema sets nothing) and
the order of "flushordered" ("-" in front of a field: highest first).

Anything that "go generate" would refuse is an error here too. No code is
generated, and features and other settings of entc.go are ignored.`,
		Example: `  entsignal signals
  entsignal signals --schema ./db/schema --output json`,
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(c *cobra.Command, _ []string) error {
			infos, err := loadSignals(dir)
			if err != nil {
				return err
			}
			if output.Value == "json" {
				return json.NewEncoder(c.OutOrStdout()).Encode(infos)
			}
			return cli.PrintSignals(c.OutOrStdout(), infos)
		},
	}
	schemaFlag(c, &dir)
	c.Flags().Var(&output, "output", "format of the result")
	complete := cobra.FixedCompletions(output.Allowed, cobra.ShellCompDirectiveNoFileComp)
	if err := c.RegisterFlagCompletionFunc("output", complete); err != nil {
		panic(err) // the flag is there
	}
	return c
}

// loadSignals loads the schema as ent's generator does.
func loadSignals(dir string) ([]entsignal.Info, error) {
	dirs, err := findDirs(dir)
	if err != nil {
		return nil, err
	}
	graph, err := loadGraph(dirs)
	if err != nil {
		return nil, err
	}
	return codegen.Signals(graph)
}

// loadGraph loads the schema of a project.
func loadGraph(dirs dirs) (*gen.Graph, error) {
	storage, err := gen.NewStorage("sql")
	if err != nil {
		return nil, err
	}
	flags, cleanup, err := withoutRuntime(dirs)
	if err != nil {
		return nil, err
	}
	defer cleanup()
	graph, err := entc.LoadGraph(dirs.schema, &gen.Config{Storage: storage, BuildFlags: flags})
	if err != nil {
		return nil, fmt.Errorf("load the schema %s: %w", dirs.schema, err)
	}
	return graph, nil
}
