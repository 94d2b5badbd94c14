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
without an order is sent by id, with a warning. One process at a time flushes a
signal in order; others wait for it, for as long as --timeout allows. Without
names the command flushes all signals, one type after the other.

The flush stops a signal type at its first failure, because a later message must
not overtake. If the signal has an OrderKey, this applies to each key: --workers
keys are sent side by side, several processes share the keys, and a key that
fails does not block the others. With mixin.Retry the flush also stops at a
signal that waits for its next attempt, and at a dead one until that is retried
or discarded. With --skip-dead it skips dead signals.

An open transaction may still commit a signal that belongs before those that are
pending. On PostgreSQL, a signal that is sent by id waits for such transactions
for as long as --hold-back allows; then it fails, and the error names the
session. No writer is stopped. "signals --check-order" shows which signals don't
wait, and why.

Don't use it where the order doesn't matter: "flush" and "flushmany" don't wait
for each other, and continue after a failure. And use nothing else for a signal
whose order matters: the order holds only if its autoflush is off and no other
flush touches it. A message may still be sent more than once.

On a terminal a bar shows the progress.

The first SIGINT or SIGTERM ends the flush after the current batch, the second
ends it at once.`,
		Example: `  # the only type that has an order
  signalbus flushordered ShipmentDue

  # as a service; a second one stands by and takes over
  signalbus flushordered ShipmentDue --repeat 1s

  # a signal with an OrderKey: eight keys at a time
  signalbus flushordered AccountMoved --workers 8`,
		SilenceUsage: true,
		RunE:         g.runE(f.run),
	}
	f.flags(c)
	c.Flags().Var(&holdBack, "hold-back", "longest wait for open transactions that may commit lower ids")
	c.Flags().Var(&workers, "workers", "how many keys of a signal with an OrderKey are sent side by side (default 1)")
	c.Flags().BoolVar(&skipDead, "skip-dead", false, "skip dead signals instead of stopping at the first one")
	complete(c, "hold-back", cobra.NoFileCompletions)
	complete(c, "workers", cobra.NoFileCompletions)
	return c
}
