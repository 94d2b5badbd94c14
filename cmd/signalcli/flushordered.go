package signalcli

import (
	"github.com/spf13/cobra"

	"github.com/entsignal/signalbus/entsignal"
)

func newFlushOrderedCommand(sys system, g *global) *cobra.Command {
	f := &flusher{sys: sys, global: g, mode: entsignal.ModeFlushOrdered, own: func() []entsignal.FlushOption { return nil }}
	c := &cobra.Command{
		Use:   "flushordered [NAME...]",
		Short: "Send signals in their order",
		Long: `Send what is pending in the order that the schema sets with OrderBy. A signal
without an order goes by its id, with a warning. One process at a time flushes
a signal in order; another one waits for it, as long as --timeout allows.
Without names it does so for all signals, one after the other.

A signal type ends at its first failure: a later message must not overtake.

Don't use it where the order doesn't matter: "flush" and "flushmany" don't wait
for each other, and go on after a failure. And use nothing else for a signal
whose order matters: the order holds only if its autoflush is off and no other
flush touches it. A message may still be sent more than once.

On a terminal a bar shows the progress.

The first SIGINT or SIGTERM ends it after the batch in hand, the second at once.`,
		Example: `  # the one type that has an order
  signalbus flushordered ShipmentDue

  # as a service; a second one stands by and takes over
  signalbus flushordered ShipmentDue --repeat 1s`,
		SilenceUsage: true,
		RunE:         g.runE(f.run),
	}
	f.flags(c)
	return c
}
