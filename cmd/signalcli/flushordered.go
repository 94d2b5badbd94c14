package signalcli

import (
	"github.com/spf13/cobra"

	"github.com/entsignal/signalbus/entsignal"
)

func newFlushOrderedCommand(sys system, g *global) *cobra.Command {
	var (
		holdBack = durationValue{zero: true, fallback: "30s"}
		workers  = countValue{most: maxWorkers}
		skipDead bool
		f        = &flusher{sys: sys, global: g, mode: entsignal.ModeFlushOrdered}
	)
	f.own = func() (opts []entsignal.FlushOption) {
		if holdBack.set {
			opts = append(opts, entsignal.HoldBack(holdBack.d))
		}
		if workers.n > 0 {
			opts = append(opts, entsignal.Workers(workers.n))
		}
		if skipDead {
			opts = append(opts, entsignal.SkipDead())
		}
		return opts
	}
	c := &cobra.Command{
		Use:   "flushordered [NAME...]",
		Short: "Send signals in their order",
		Long: `Send what is pending in the order that the schema sets with OrderBy. A signal
without an order goes by its id, with a warning. One process at a time flushes
a signal in order; another one waits for it, as long as --timeout allows.
Without names it does so for all signals, one after the other.

A signal type ends at its first failure: a later message must not overtake. If
it has an OrderKey, that is so for each key: --workers keys are sent side by
side, several processes share them, and a key that fails keeps no other. With
mixin.Retry it also ends at a signal that waits for its next attempt, and at a
dead one until that is retried or discarded, or passed with --skip-dead.

A transaction that is open may still commit a signal that belongs before those
that are pending. On PostgreSQL, a signal that goes by its id waits for that as
long as --hold-back allows; then it fails, and the error names the session. It
stops no writer. For other signals "signals --check-order" tells why they don't.

Don't use it where the order doesn't matter: "flush" and "flushmany" don't wait
for each other, and go on after a failure. And use nothing else for a signal
whose order matters: the order holds only if its autoflush is off and no other
flush touches it. A message may still be sent more than once.

On a terminal a bar shows the progress.

The first SIGINT or SIGTERM ends it after the batch in hand, the second at once.`,
		Example: `  # the one type that has an order
  signalbus flushordered ShipmentDue

  # as a service; a second one stands by and takes over
  signalbus flushordered ShipmentDue --repeat 1s

  # a signal with an OrderKey: eight keys at a time
  signalbus flushordered AccountMoved --workers 8`,
		SilenceUsage: true,
		RunE:         g.runE(f.run),
	}
	f.flags(c)
	c.Flags().Var(&holdBack, "hold-back", "longest wait for open transactions that may have lower ids")
	c.Flags().Var(&workers, "workers", "keys of a signal with an OrderKey that are sent side by side (default 1)")
	c.Flags().BoolVar(&skipDead, "skip-dead", false, "pass the signals that are dead, in place of ending the type there")
	complete(c, "hold-back", cobra.NoFileCompletions)
	complete(c, "workers", cobra.NoFileCompletions)
	return c
}
