package signalcli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/entsignal/signalbus/cmd/internal/cli"
	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/internal/view"
)

// oneName requires the name of exactly one signal.
func oneName(c *cobra.Command, args []string) error {
	switch len(args) {
	case 1:
		return nil
	case 0:
		return cli.UsageErrorf(c, "missing signal; %s takes the name of one", c.Name())
	default:
		return cli.UsageErrorf(c, "unexpected argument %q; %s takes the name of one signal", args[1], c.Name())
	}
}

// completeOneName completes the name of a signal, and nothing behind it.
func completeOneName(sys system) cobra.CompletionFunc {
	names := completeNames(sys)
	return func(c *cobra.Command, args []string, word string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return names(c, args, word)
	}
}

// mend runs change on the signals with these ids, or on all if there are none, and
// prints the result; done describes what was done.
func (g *global) mend(c *cobra.Command, sys system, name, done string, ids []string, change func(context.Context, *entsignal.Bus) (int, error)) error {
	return withBus(c, sys, func(ctx context.Context, bus *entsignal.Bus) error {
		if _, err := (selection{names: []string{name}}).choose(bus.Signals()); err != nil {
			return cli.NewUsageError(c, err)
		}
		n, err := change(ctx, bus)
		var invalid *entsignal.InvalidIDError
		if errors.As(err, &invalid) || errors.Is(err, entsignal.ErrNoRetry) {
			return cli.NewUsageError(c, err)
		}
		switch {
		case err != nil && n == 0:
			return err
		case err == nil && n < distinct(ids):
			err = fmt.Errorf("%d of %d signals do not exist, or have not failed", distinct(ids)-n, distinct(ids))
		}
		return errors.Join(g.printMended(c, view.Repaired{Signal: name, Count: n}, done), err)
	})
}

func (g *global) printMended(c *cobra.Command, m view.Repaired, done string) error {
	if g.output.Value == "json" {
		return printJSON(c.OutOrStdout(), m)
	}
	noun := "signals"
	if m.Count == 1 {
		noun = "signal"
	}
	_, err := fmt.Fprintf(c.OutOrStdout(), "%d %s %s\n", m.Count, noun, done)
	return err
}

// distinct returns the number of different ids.
func distinct(ids []string) int {
	seen := make(map[string]bool)
	for _, id := range ids {
		seen[id] = true
	}
	return len(seen)
}
