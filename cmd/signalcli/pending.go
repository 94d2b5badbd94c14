package signalcli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/entsignal/signalbus/entsignal"
)

func newPendingCommand(sys system, g *global) *cobra.Command {
	return &cobra.Command{
		Use:   "pending",
		Short: "Count the pending signals",
		Long: `Count the signals that are pending, the lowest count first. Signals that are
being sent at this moment still count. For signals with mixin.Retry it also shows
how many wait for their next attempt, and how many are dead and are no longer
sent. It counts rows, which is slow on a table of millions.`,
		Example: `  signalbus pending

  # for a monitor: the sum
  signalbus pending --output json | jq 'map(.count) | add'`,
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		SilenceUsage:      true,
		RunE: g.runE(func(c *cobra.Command, _ []string) error {
			return withBus(c, sys, func(ctx context.Context, bus *entsignal.Bus) error {
				counts, failed := bus.Pending(ctx)
				if len(counts) == 0 && failed != nil {
					return failed
				}
				slices.SortFunc(counts, func(a, b entsignal.PendingCount) int {
					return cmp.Or(cmp.Compare(a.Count, b.Count), cmp.Compare(a.Name, b.Name))
				})
				show := printPending
				if g.output.Value == "json" {
					show = func(w io.Writer, counts []entsignal.PendingCount) error { return printJSON(w, counts) }
				}
				// The other types are shown even if one can't be counted.
				return errors.Join(show(c.OutOrStdout(), counts), failed)
			})
		}),
	}
}

func printPending(w io.Writer, counts []entsignal.PendingCount) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	total := entsignal.PendingCount{Name: "total"}
	for _, c := range counts {
		total.Count += c.Count
		total.Waiting += c.Waiting
		total.Dead += c.Dead
	}
	failed := total.Waiting+total.Dead > 0 // otherwise the columns would be empty
	header := "SIGNAL\tPENDING"
	if failed {
		header += "\tWAITING\tDEAD"
	}
	fmt.Fprintln(t, header)
	for _, c := range append(counts[:len(counts):len(counts)], total) {
		fmt.Fprintf(t, "%s\t%d", c.Name, c.Count)
		if failed {
			fmt.Fprintf(t, "\t%d\t%d", c.Waiting, c.Dead)
		}
		fmt.Fprintln(t)
	}
	return t.Flush()
}
