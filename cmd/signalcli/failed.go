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
)

// maxShownError bounds how many characters of an error the table shows.
const maxShownError = 100

func newFailedCommand(sys system, g *global) *cobra.Command {
	return &cobra.Command{
		Use:   "failed [NAME...]",
		Short: "List the signals that could not be sent",
		Long: `List the signals whose sending has failed: those that wait for their next
attempt, and those that are dead, which no flush sends anymore. It knows of
signals with mixin.Retry only. Without names it lists those of all types.

AGE is for how long a signal has been dead. Mend the cause, and give dead
signals back with "retry", or delete them with "discard".`,
		Example: `  signalbus failed
  signalbus failed OrderPlaced

  # for a monitor: how many are dead
  signalbus failed --output json | jq 'map(select(.dead)) | length'`,
		ValidArgsFunction: completeNames(sys),
		SilenceUsage:      true,
		RunE: g.runE(func(c *cobra.Command, names []string) error {
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
				show := printFailed
				if g.output.Value == "json" {
					show = func(w io.Writer, failed []entsignal.FailedSignal) error { return printJSON(w, failed) }
				}
				// A type that can't be listed doesn't keep the others from the reader.
				return errors.Join(show(c.OutOrStdout(), failed), err)
			})
		}),
	}
}

func printFailed(w io.Writer, failed []entsignal.FailedSignal) error {
	now := time.Now()
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "SIGNAL\tID\tATTEMPTS\tSTATE\tAGE\tERROR")
	for _, f := range failed {
		state, age := "waits", "-"
		switch {
		case f.FailedAt != nil:
			state, age = "dead", roughly(now.Sub(*f.FailedAt))
		case f.RetryAt != nil && f.RetryAt.After(now):
			state = "waits " + roughly(f.RetryAt.Sub(now))
		}
		fmt.Fprintf(t, "%s\t%s\t%d\t%s\t%s\t%s\n", f.Name, oneLine(f.ID), f.Attempts, state, age, oneLine(f.Error))
	}
	return t.Flush()
}

// roughly returns a duration in its largest unit.
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

// oneLine returns a text from outside in a form that can't forge lines or
// columns of a table, or move a terminal's cursor.
func oneLine(s string) string {
	runes := []rune(s)
	if len(runes) > maxShownError {
		s = string(runes[:maxShownError]) + "…"
	}
	quoted := strconv.Quote(s)
	return strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`)
}
