package signalcli

import (
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

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
				if g.output.value == "json" {
					return printJSON(c.OutOrStdout(), listed(bus.Signals()))
				}
				return printSignals(c.OutOrStdout(), bus.Signals())
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

func printSignals(w io.Writer, infos []entsignal.Info) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "SIGNAL\tTABLE\tAUTOFLUSH\tBURST\tORDER")
	for _, info := range infos {
		autoflush, order := "on", "-"
		if !info.AutoFlush {
			autoflush = "off"
		}
		if len(info.OrderBy) > 0 {
			terms := make([]string, len(info.OrderBy))
			for i, term := range info.OrderBy {
				terms[i] = string(term)
			}
			order = strings.Join(terms, ", ")
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%s\n", info.Name, info.Table, autoflush, info.BurstCount, order)
	}
	return t.Flush()
}
