package signalcli

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/entsignal/signalbus/cmd/internal/cli"
	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/internal/view"
)

func newShowCommand(sys system, g *global) *cobra.Command {
	var id string
	c := &cobra.Command{
		Use:   "show NAME --id ID",
		Short: "Show one pending signal as JSON",
		Long: `Show one pending signal, with the edges that its sender gets, as JSON: all its
fields but those that the schema marks as sensitive. It changes nothing.`,
		Example: `  signalbus show OrderPlaced --id 17

  # one field
  signalbus show OrderPlaced --id 17 | jq -r .fields.customer`,
		Args:              oneName,
		ValidArgsFunction: completeOneName(sys),
		SilenceUsage:      true,
		RunE: g.runE(func(c *cobra.Command, args []string) error {
			if id == "" {
				return cli.UsageErrorf(c, "which signal? expected --id")
			}
			return withBus(c, sys, func(ctx context.Context, bus *entsignal.Bus) error {
				if _, err := (selection{names: args}).choose(bus.Signals()); err != nil {
					return cli.NewUsageError(c, err)
				}
				found, err := bus.Show(ctx, args[0], id)
				if errors.As(err, new(*entsignal.InvalidIDError)) {
					return cli.NewUsageError(c, err)
				}
				if err != nil {
					return err
				}
				fields, err := view.Fields(found)
				if err != nil {
					return err
				}
				return printJSON(c.OutOrStdout(), view.Shown{Signal: args[0], ID: id, Fields: fields})
			})
		}),
	}
	c.Flags().StringVar(&id, "id", "", "id of the signal")
	complete(c, "id", cobra.NoFileCompletions)
	return c
}
