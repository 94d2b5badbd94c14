package signalcli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/internal/view"
)

func newPendingCommand(sys system, g *global) *cobra.Command {
	var state string
	c := &cobra.Command{
		Use:   "pending",
		Short: "Count the pending signals",
		Long: `Count the signals that are pending, the lowest count first. Signals that are
being sent at this moment still count. For signals with mixin.Retry it also shows
how many wait for their next attempt, and how many are dead and are no longer
sent. It counts rows, which is slow on a table of millions.

It also shows which signal of each type with mixin.Trace is the oldest, and how long
ago it was recorded, by the clock of the program that did. With --state it shows the
oldest of the other types too, and for how long it was seen to be the oldest, by this
command and by "check" with the same file. It may have been recorded long before.`,
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
				all := make([]view.Pending, len(counts))
				for i, n := range counts {
					all[i].PendingCount = n
				}
				if err := addAges(ctx, bus, state, all); failed == nil {
					failed = err
				}
				show := printPending
				if g.output.Value == "json" {
					show = func(w io.Writer, all []view.Pending) error { return printJSON(w, all) }
				}
				// The other types are shown even if one can't be counted.
				return errors.Join(show(c.OutOrStdout(), all), failed)
			})
		}),
	}
	c.Flags().StringVar(&state, "state", "", "file that keeps since when the oldest signals were seen")
	return c
}

// addAges adds the oldest signals: those whose age is exact, and with a file of --state
// all.
func addAges(ctx context.Context, bus *entsignal.Bus, file string, all []view.Pending) error {
	look := func() ([]entsignal.Oldest, error) { return bus.Oldest(ctx) }
	if file != "" {
		look = func() ([]entsignal.Oldest, error) { return remembered(ctx, bus, selection{}, file) }
	}
	oldest, err := look()
	now := time.Now()
	for _, o := range oldest {
		for i := range all {
			if all[i].Name == o.Signal && o.ID != "" && (file != "" || o.Exact) {
				all[i].SetOldest(o, now)
			}
		}
	}
	return err
}

func printPending(w io.Writer, all []view.Pending) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	total := entsignal.PendingCount{Name: "total"}
	for _, c := range all {
		total.Count += c.Count
		total.Waiting += c.Waiting
		total.Dead += c.Dead
	}
	failed := total.Waiting+total.Dead > 0 // otherwise the columns would be empty
	header := "SIGNAL\tPENDING"
	if failed {
		header += "\tWAITING\tDEAD"
	}
	var ages, exact bool
	for _, c := range all {
		ages = ages || c.AgeIs != ""
		exact = exact || c.AgeIs == view.AgeIsExact
	}
	switch {
	case exact:
		header += "\tOLDEST\tAGE"
	case ages:
		header += "\tOLDEST\tSEEN FOR"
	}
	fmt.Fprintln(t, header)
	for _, c := range append(all[:len(all):len(all)], view.Pending{PendingCount: total}) {
		fmt.Fprintf(t, "%s\t%d", c.Name, c.Count)
		if failed {
			fmt.Fprintf(t, "\t%d\t%d", c.Waiting, c.Dead)
		}
		if ages && c.AgeSeconds != nil {
			least := ""
			if exact && c.AgeIs == view.AgeIsSeen {
				least = "at least "
			}
			fmt.Fprintf(t, "\t%s\t%s%v", oneLine(c.OldestID), least, roundAge(time.Duration(*c.AgeSeconds*float64(time.Second))))
		}
		fmt.Fprintln(t)
	}
	return t.Flush()
}
