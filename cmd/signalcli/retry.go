package signalcli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/entsignal/signalbus/cmd/internal/cli"
	"github.com/entsignal/signalbus/entsignal"
)

func newRetryCommand(sys system, g *global) *cobra.Command {
	var (
		ids []string
		all bool
	)
	c := &cobra.Command{
		Use:   "retry NAME {--id ID... | --all}",
		Short: "Have failed signals sent again",
		Long: `Reset signals that have failed, both dead ones and ones that wait for their next
attempt, as if they had never failed. This command sends nothing; the next flush
sends them. The ids are those that "failed" shows.`,
		Example: `  # after the cause is fixed
  signalbus retry OrderPlaced --all

  signalbus retry OrderPlaced --id 17 --id 42`,
		Args:              oneName,
		ValidArgsFunction: completeOneName(sys),
		SilenceUsage:      true,
		RunE: g.runE(func(c *cobra.Command, args []string) error {
			switch {
			case all && len(ids) > 0:
				return cli.UsageErrorf(c, "--id and --all can't be combined")
			case !all && len(ids) == 0:
				return cli.UsageErrorf(c, "no signals given; expected --id, which may be repeated, or --all")
			}
			return g.mend(c, sys, args[0], "will be tried again", ids, func(ctx context.Context, bus *entsignal.Bus) (int, error) {
				if all {
					return bus.RetryAll(ctx, args[0])
				}
				return bus.Retry(ctx, args[0], ids...)
			})
		}),
	}
	c.Flags().Var(namesValue{&ids, "ID"}, "id", "id of a failed signal; may be given several times")
	c.Flags().BoolVar(&all, "all", false, "all failed signals of the type")
	complete(c, "id", cobra.NoFileCompletions)
	return c
}
