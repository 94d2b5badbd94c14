package signalcli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/entsignal/signalbus/cmd/internal/cli"
	"github.com/entsignal/signalbus/entsignal"
)

// errKept is the error if the user didn't confirm.
var errKept = errors.New("nothing was discarded")

func newDiscardCommand(sys system, g *global) *cobra.Command {
	var (
		ids []string
		yes bool
	)
	c := &cobra.Command{
		Use:   "discard NAME --id ID... [--yes]",
		Short: "Delete failed signals for good, unsent",
		Long: `Delete signals that have failed. Their messages are not sent, and nothing brings
them back. The command shows the signals and asks for confirmation, unless --yes
is given; where nobody can answer, --yes is required. Signals that have not
failed can't be discarded, unless their rows can't be decoded. The ids are those
that "failed" shows, and those in the errors of a flush.`,
		Example: `  signalbus discard OrderPlaced --id 17

  # in a script
  signalbus discard OrderPlaced --id 17 --id 42 --yes`,
		Args:              oneName,
		ValidArgsFunction: completeOneName(sys),
		SilenceUsage:      true,
		RunE: g.runE(func(c *cobra.Command, args []string) error {
			switch {
			case len(ids) == 0:
				return cli.UsageErrorf(c, "no signals given; expected --id, which may be repeated")
			case !yes && !sys.terminal(c.InOrStdin()):
				return cli.UsageErrorf(c, "can't ask for confirmation, because standard input is not a terminal; give --yes to discard the signals")
			}
			return g.mend(c, sys, args[0], "discarded", ids, func(ctx context.Context, bus *entsignal.Bus) (int, error) {
				if !yes {
					showDiscarded(ctx, c, bus, args[0], ids)
					if !confirmed(c, fmt.Sprintf("Discard %d %s for good, unsent?", distinct(ids), args[0])) {
						return 0, errKept
					}
				}
				return bus.Discard(ctx, args[0], ids...)
			})
		}),
	}
	c.Flags().Var(namesValue{&ids, "ID"}, "id", "id of a failed signal; may be given several times")
	c.Flags().BoolVarP(&yes, "yes", "y", false, "don't ask")
	complete(c, "id", cobra.NoFileCompletions)
	return c
}

// maxAsked is how many signals are shown before the question whether to discard
// them.
const maxAsked = 20

// showDiscarded prints what is about to be discarded to standard error. For signals
// that can't be looked up it prints only the id; discarding them returns the
// reason.
func showDiscarded(ctx context.Context, c *cobra.Command, bus *entsignal.Bus, name string, ids []string) {
	failed, _ := bus.Failed(ctx, entsignal.Only(name))
	known := make(map[string]entsignal.FailedSignal, len(failed))
	for _, f := range failed {
		known[f.ID] = f
	}
	now, shown := time.Now(), 0
	t := tabwriter.NewWriter(c.ErrOrStderr(), 0, 0, 2, ' ', 0)
	for i, id := range ids {
		if slices.Contains(ids[:i], id) {
			continue
		}
		if shown++; shown > maxAsked {
			break
		}
		f, ok := known[id]
		if !ok {
			fmt.Fprintf(t, "%s %s\tnot known to have failed: discarded only if its row can't be decoded\t\t\n", name, oneLine(id))
			continue
		}
		state, _ := stateOf(f, now)
		fmt.Fprintf(t, "%s %s\tattempts %d\t%s\t%s\n", name, oneLine(id), f.Attempts, state, oneLine(redact(f.Error)))
	}
	_ = t.Flush()
	if more := distinct(ids) - maxAsked; more > 0 {
		fmt.Fprintf(c.ErrOrStderr(), "and %d more\n", more)
	}
}

// confirmed asks a question on standard error, and reports whether the answer is
// yes.
func confirmed(c *cobra.Command, question string) bool {
	fmt.Fprint(c.ErrOrStderr(), question+" [y/N] ")
	answer, _ := bufio.NewReader(c.InOrStdin()).ReadString('\n') // none is no
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return true
	default:
		return false
	}
}
