package signalcli

import (
	"github.com/spf13/cobra"

	"github.com/entsignal/signalbus/entsignal"
)

func newFlushCommand(sys system, g *global) *cobra.Command {
	var (
		wait = durationValue{zero: true, fallback: "3s"}
		f    = &flusher{sys: sys, global: g, mode: entsignal.ModeFlush}
	)
	f.own = func() []entsignal.FlushOption {
		if !wait.set {
			return nil
		}
		return []entsignal.FlushOption{entsignal.Wait(wait.d)}
	}
	c := &cobra.Command{
		Use:   "flush [NAME...]",
		Short: "Send what autoflushes failed to send",
		Long: `Send the signals that are pending now because their autoflush failed to send
them, or because they were recorded where no autoflush runs. The command notes
what is pending, waits a little so that running autoflushes can finish, and sends
what is still pending. Without names it flushes all signals.

Don't use it for a large backlog: it holds the ids of all pending signals in
memory, and several processes can't share the work; with "flushmany" they can.
Don't use it where the order of the messages matters; only "flushordered" keeps
an order.

The first SIGINT or SIGTERM ends the flush after the current batch, the second
ends it at once.`,
		Example: `  # from cron, every minute
  signalbus flush

  # two types only, without the pause
  signalbus flush OrderPlaced UserJoined --wait 0

  # as a service, every ten seconds, all signals but one
  signalbus flush --repeat 10s --exclude ShipmentDue`,
		SilenceUsage: true,
		RunE:         g.runE(f.run),
	}
	f.flags(c)
	c.Flags().VarP(&wait, "wait", "w", "pause between noting what is pending and sending it")
	complete(c, "wait", cobra.NoFileCompletions)
	return c
}
