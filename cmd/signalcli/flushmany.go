package signalcli

import (
	"github.com/spf13/cobra"

	"github.com/entsignal/signalbus/entsignal"
)

// maxWorkers bounds --workers. Each worker holds a connection to the database.
const maxWorkers = 1000

func newFlushManyCommand(sys system, g *global) *cobra.Command {
	var (
		workers = countValue{most: maxWorkers}
		f       = &flusher{sys: sys, global: g, mode: entsignal.ModeFlushMany}
	)
	f.own = func() []entsignal.FlushOption {
		if workers.n == 0 {
			return nil
		}
		return []entsignal.FlushOption{entsignal.Workers(workers.n)}
	}
	c := &cobra.Command{
		Use:   "flushmany [NAME...]",
		Short: "Send a backlog of any size",
		Long: `Send a backlog of any size. The command makes one pass through each table, up to
the last signal that was in it at the start. Any number of processes may run it
at once: they share the work, and no signal is sent twice. Without names it
flushes all signals.

Don't use it where the order of the messages matters; only "flushordered" keeps
an order. For the few signals that an autoflush left behind, "flush" is the
better choice: it doesn't compete with running autoflushes for their rows.

On a terminal a bar shows the progress. It counts the pending signals at
intervals, so it includes signals that others record and send meanwhile.

The first SIGINT or SIGTERM ends the flush after the current batches, the second
ends it at once.`,
		Example: `  # after a night without a broker: all signals, in larger bursts
  signalbus flushmany --burst 500

  # one type, four batches at a time
  signalbus flushmany AuditLogged --workers 4

  # a relay for a type without autoflush, run as a service
  signalbus flushmany AuditLogged --repeat 1s --log-format json`,
		SilenceUsage: true,
		RunE:         g.runE(f.run),
	}
	f.flags(c)
	c.Flags().Var(&workers, "workers", "how many batches of a signal are sent side by side (default 1)")
	complete(c, "workers", cobra.NoFileCompletions)
	return c
}
