package signalcli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/entsignal/signalbus/cmd/internal/cli"
	"github.com/entsignal/signalbus/entsignal"
)

func newSignalsCommand(sys system, g *global) *cobra.Command {
	return &cobra.Command{
		Use:   "signals",
		Short: "List the signal types",
		Long: `List the signal types of the program: their tables, whether a commit sends
them, how many rows a flush takes at once, and the order of "flushordered"
("-" in front of a field: highest first). It reads nothing from the database.`,
		Example: `  signalbus signals
  signalbus signals --output json`,
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		SilenceUsage:      true,
		RunE: g.runE(func(c *cobra.Command, _ []string) error {
			return withBus(c, sys, func(_ context.Context, bus *entsignal.Bus) error {
				if g.output.Value == "json" {
					return printJSON(c.OutOrStdout(), listed(bus.Signals()))
				}
				return cli.PrintSignals(c.OutOrStdout(), bus.Signals())
			})
		}),
	}
}

// listed returns infos so that JSON has empty lists and no null.
func listed(infos []entsignal.Info) []entsignal.Info {
	list := append([]entsignal.Info{}, infos...)
	for i := range list {
		if list[i].OrderBy == nil {
			list[i].OrderBy = []entsignal.OrderTerm{}
		}
	}
	return list
}
