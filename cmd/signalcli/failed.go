package signalcli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/entsignal/signalbus/cmd/internal/cli"
	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/internal/view"
)

const (
	// maxShownError is how many characters of an error the table shows.
	maxShownError = 100
	// defaultShown is the default of --limit for "failed".
	defaultShown = 50
)

func newFailedCommand(sys system, g *global) *cobra.Command {
	var (
		limit   int
		byError bool
	)
	c := &cobra.Command{
		Use:   "failed [NAME...]",
		Short: "List the signals that could not be sent",
		Long: `List the signals that could not be sent: those that wait for their next attempt,
and those that are dead, which no flush sends any more. Only failures of signals
with mixin.Retry are recorded. Without names the command lists the failed signals
of all types.

AGE is how long a signal has been dead. After you have fixed the cause, use
"retry" to have dead signals sent again; use "discard" to delete them.

The text output lists the first 50 signals and says how many more there are; see
--limit. JSON output lists all of them, unless --limit is given. With --by-error
each error is shown once, with the number of signals that have it.`,
		Example: `  signalbus failed
  signalbus failed OrderPlaced --limit 0

  # if there are thousands: which errors are there?
  signalbus failed --by-error

  # for a monitor: how many are dead
  signalbus failed --output json | jq 'map(select(.dead)) | length'`,
		ValidArgsFunction: completeNames(sys),
		SilenceUsage:      true,
		RunE: g.runE(func(c *cobra.Command, names []string) error {
			switch {
			case limit < 0:
				return cli.UsageErrorf(c, "--limit %d; expected 0 (all) or more", limit)
			case byError && c.Flags().Changed("limit"):
				return cli.UsageErrorf(c, "--by-error and --limit can't be combined")
			}
			return withBus(c, sys, func(ctx context.Context, bus *entsignal.Bus) error {
				selected := selection{names: names}
				if _, err := selected.choose(bus.Signals()); err != nil {
					return cli.NewUsageError(c, err)
				}
				failed, err := bus.Failed(ctx, selected.options()...)
				switch {
				case errors.Is(err, entsignal.ErrNoRetry):
					return cli.NewUsageError(c, err)
				case len(failed) == 0 && err != nil:
					return err
				}
				for i := range failed {
					failed[i].Error = redact(failed[i].Error)
				}
				// The other types are shown even if one can't be listed.
				return errors.Join(g.showFailed(c, failed, limit, byError), err)
			})
		}),
	}
	c.Flags().IntVar(&limit, "limit", defaultShown, "how many signals to list; 0 lists all")
	c.Flags().BoolVar(&byError, "by-error", false, "count the signals that have the same error")
	complete(c, "limit", cobra.NoFileCompletions)
	return c
}

// showFailed prints failed signals in the form that the flags ask for.
func (g *global) showFailed(c *cobra.Command, failed []entsignal.FailedSignal, limit int, byError bool) error {
	json, w := g.output.Value == "json", c.OutOrStdout()
	if byError {
		groups := view.GroupByError(failed)
		if json {
			return printJSON(w, groups)
		}
		return printGroups(w, groups)
	}
	shown := failed
	if limit > 0 && limit < len(failed) && (!json || c.Flags().Changed("limit")) {
		shown = failed[:limit]
	}
	if json {
		return printJSON(w, shown)
	}
	err := printFailed(w, shown)
	if more := len(failed) - len(shown); more > 0 {
		fmt.Fprintf(c.ErrOrStderr(), "%d more are not shown; --limit 0 lists all, --by-error counts them by their error\n", more)
	}
	return err
}

func printGroups(w io.Writer, groups []view.FailedGroup) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "SIGNAL\tCOUNT\tDEAD\tFIRST ID\tERROR")
	for _, g := range groups {
		fmt.Fprintf(t, "%s\t%d\t%d\t%s\t%s\n", g.Name, g.Count, g.Dead, oneLine(g.FirstID), oneLine(g.Error))
	}
	return t.Flush()
}

func printFailed(w io.Writer, failed []entsignal.FailedSignal) error {
	now := time.Now()
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "SIGNAL\tID\tATTEMPTS\tSTATE\tAGE\tERROR")
	for _, f := range failed {
		state, age := stateOf(f, now)
		fmt.Fprintf(t, "%s\t%s\t%d\t%s\t%s\t%s\n", f.Name, oneLine(f.ID), f.Attempts, state, age, oneLine(f.Error))
	}
	return t.Flush()
}

// stateOf returns the state of a failed signal, dead or waiting, and how long it
// has been dead.
func stateOf(f entsignal.FailedSignal, now time.Time) (state, age string) {
	switch {
	case f.FailedAt != nil:
		return "dead", roughly(now.Sub(*f.FailedAt))
	case f.RetryAt != nil && f.RetryAt.After(now):
		return "waits " + roughly(f.RetryAt.Sub(now)), "-"
	default:
		return "waits", "-"
	}
}

// roughly formats a duration in its largest unit.
func roughly(d time.Duration) string {
	switch d = max(d, 0); {
	case d < time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%dm", d/time.Minute)
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", d/time.Hour)
	default:
		return fmt.Sprintf("%dd", d/(24*time.Hour))
	}
}

// oneLine escapes a foreign text so that it can't forge lines or columns of a
// table, or control a terminal.
func oneLine(s string) string {
	runes := []rune(s)
	if len(runes) > maxShownError {
		s = string(runes[:maxShownError]) + "…"
	}
	quoted := strconv.Quote(s)
	return strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`)
}
