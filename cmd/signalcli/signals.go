package signalcli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/entsignal/signalbus/cmd/internal/cli"
	"github.com/entsignal/signalbus/entsignal"
)

func newSignalsCommand(sys system, g *global) *cobra.Command {
	var check bool
	c := &cobra.Command{
		Use:   "signals",
		Short: "List the signal types",
		Long: `List the signal types of the program: their tables, whether a commit sends
them, how many rows a flush takes at once, and the order of "flushordered"
("-" in front of a field: highest first). It reads nothing from the database.

With --check-order it asks the database, and shows for which signals the order
of "flushordered" is strict, and why it isn't strict for the others. Strict means
that a signal is sent before all signals with higher ids, even if it is committed
last. If a table has no index of its order, it also shows the statement that
creates one.`,
		Example: `  signalbus signals
  signalbus signals --output json
  signalbus signals --check-order`,
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		SilenceUsage:      true,
		RunE: g.runE(func(c *cobra.Command, _ []string) error {
			return withBus(c, sys, func(ctx context.Context, bus *entsignal.Bus) error {
				if check {
					return g.checkOrder(ctx, c.OutOrStdout(), bus)
				}
				if g.output.Value == "json" {
					return printJSON(c.OutOrStdout(), listed(bus.Signals()))
				}
				return cli.PrintSignals(c.OutOrStdout(), bus.Signals())
			})
		}),
	}
	c.Flags().BoolVar(&check, "check-order", false, "ask the database whether the order of flushordered is strict")
	return c
}

// checkOrder prints for which signals the order is strict.
func (g *global) checkOrder(ctx context.Context, w io.Writer, bus *entsignal.Bus) error {
	checks, failed := bus.CheckOrder(ctx)
	if len(checks) == 0 && failed != nil {
		return failed
	}
	show := printChecks
	if g.output.Value == "json" {
		show = func(w io.Writer, checks []entsignal.OrderCheck) error { return printJSON(w, checks) }
	}
	// The other types are shown even if one can't be checked.
	return errors.Join(show(w, checks), failed)
}

func printChecks(w io.Writer, checks []entsignal.OrderCheck) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "SIGNAL\tSTRICT\tREASON")
	for _, c := range checks {
		strict, reason := "yes", "-"
		if !c.Strict {
			strict, reason = "no", c.Reason
		}
		fmt.Fprintf(t, "%s\t%s\t%s\n", c.Name, strict, reason)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, c := range checks {
		if c.MissingIndex == "" {
			continue
		}
		if _, err := fmt.Fprintf(w, "%s: no index serves its order, so each batch sorts the whole table; %s\n", c.Name, c.MissingIndex); err != nil {
			return err
		}
	}
	return nil
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
