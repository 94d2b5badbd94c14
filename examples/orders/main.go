// Command orders is a small service: it keeps orders in PostgreSQL and tells
// the world about them by RabbitMQ.
package main

import (
	"context"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/entsignal/signalbus/cmd/signalcli"
	"github.com/entsignal/signalbus/entsignal"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends it at once
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run returns the exit code: 0 done, 1 failed, 2 usage.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	// The commands print what they did. From the parts that they use one wants
	// to hear of trouble only, else cron would mail each success.
	log := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	root := newRoot(log)
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	return signalcli.ExitCode(root.ExecuteContext(ctx))
}

// newRoot returns the program: its own commands, and the group "signalbus".
func newRoot(log *slog.Logger) *cobra.Command {
	root := &cobra.Command{
		Use:   "orders",
		Short: "Keep orders and tell the world about them",
		Long: `Keep orders and tell the world about them.

DATABASE_URL and AMQP_URL name the PostgreSQL and the RabbitMQ.`,
		SilenceUsage: true, // an error would drown in it
	}
	var count uint
	placeCommand := &cobra.Command{
		Use:   "place",
		Short: "Place orders",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return withService(log, func(s *service) error { return place(c.Context(), s, count, c.OutOrStdout()) })
		},
	}
	placeCommand.Flags().UintVarP(&count, "number", "n", 1, "how many orders")
	root.AddCommand(
		&cobra.Command{
			Use:   "setup",
			Short: "Create the tables, the exchange, the queue and the binding",
			Args:  cobra.NoArgs,
			RunE: func(c *cobra.Command, _ []string) error {
				return withService(log, func(s *service) error { return setup(c.Context(), s, c.OutOrStdout()) })
			},
		},
		placeCommand,
		&cobra.Command{
			Use:   "consume",
			Short: "Print the orders that arrive, until interrupted",
			Args:  cobra.NoArgs,
			RunE: func(c *cobra.Command, _ []string) error {
				return consume(c.Context(), log, c.OutOrStdout())
			},
		},
		signalcli.Command(func(context.Context) (*entsignal.Bus, func() error, error) {
			s, err := open(log)
			if err != nil {
				return nil, nil, err
			}
			return s.bus, s.close, nil
		}),
	)
	return root
}
