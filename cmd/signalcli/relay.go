package signalcli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/entsignal/signalbus/cmd/internal/cli"
	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/internal/backoff"
)

const (
	// watchEvery is how often a relay looks at its loops.
	watchEvery = time.Second
	// readyEvery is how often it does so before it is ready.
	readyEvery = 20 * time.Millisecond
)

// relayer is the command run. Its fields up to skipDead belong to the flags.
type relayer struct {
	sys      system
	global   *global
	exclude  []string
	workers  countValue
	burst    countValue
	holdBack durationValue
	poll     durationValue
	skipDead bool
	address  string
	// For the page.
	tokenFile  string
	showFields bool

	command  *cobra.Command
	selected selection
	log      *slog.Logger
	stopping context.Context // ends when the relay is to end
	front    *front
	watch    watcher
}

func newRunCommand(sys system, g *global) *cobra.Command {
	r := &relayer{
		sys: sys, global: g,
		workers:  countValue{most: maxWorkers},
		burst:    countValue{most: entsignal.MaxBurstCount},
		holdBack: durationValue{zero: true, fallback: "30s"},
		poll:     durationValue{},
	}
	c := &cobra.Command{
		Use:   "run [NAME...]",
		Short: "Keep everything flowing, as a service",
		Long: `Keep everything flowing until it is stopped: a relay. It sends what is pending
and what becomes pending, each signal type by the flush that fits it:

  in its order      "flushordered", for a type with OrderBy or OrderKey
  what was left     "flush", once a minute, for a type that commits send
  anything else     "flushmany"

No type holds up another. When it finds nothing it looks again after a pause,
which grows up to a second, or up to 30 seconds where commits wake it (see
WithWakeUp); --poll sets another one. While a broker or a database is away it
tries less and less often, up to each 30 seconds. Any number of processes may
run it at once: they share the work and need no leader.

With --listen it serves HTTP, on this machine only unless a host is given:

  /healthz   200 while its loops move, else 503. It asks neither the broker nor
             the database: a restart would not help those.
  /readyz    200 while the database answers and the relay isn't stopping.
  /          a page that shows what is pending, what is stuck and why
  /api/v1/   the same as JSON; /api/v1/openapi.json describes it

Everybody who reaches the address may look, but at no field of a message unless
--show-fields is given. Retry, discard and flush exist only with a token, by the
environment variable SIGNALBUS_ADMIN_TOKEN or --admin-token-file: a browser asks
for it at "sign in", with any user name, and a program sends it as a bearer token.
  /metrics   what it sends and what is pending, for Prometheus.

Started by systemd with Type=notify it tells when it has begun and when it stops,
and with WatchdogSec also that its loops move.

The first SIGINT or SIGTERM ends it after the batches in hand, the second at once.`,
		Example: `  # everything
  signalbus run

  # two types, and a probe for Kubernetes
  signalbus run OrderPlaced AuditLogged --workers 4 --listen 0.0.0.0:8080 --log-format json

  # the same by the environment
  SIGNALBUS_LISTEN=0.0.0.0:8080 SIGNALBUS_WORKERS=4 signalbus run`,
		SilenceUsage:      true,
		ValidArgsFunction: completeNames(sys),
		RunE:              g.runE(r.run),
	}
	flags := c.Flags()
	flags.VarP(namesValue{&r.exclude, "NAME"}, "exclude", "e", "leave a signal out; may be given several times")
	flags.Var(&r.workers, "workers", "batches, or keys, of a signal that are sent side by side (default 1)")
	flags.Var(&r.burst, "burst", "rows per transaction, in place of each signal's burst count")
	flags.Var(&r.holdBack, "hold-back", "longest wait for open transactions that may have lower ids, in order")
	flags.Var(&r.poll, "poll", "longest pause before a type that was found empty is looked at again (default 1s, or 30s where commits wake it)")
	flags.BoolVar(&r.skipDead, "skip-dead", false, "in order, skip the signals that are dead")
	flags.StringVar(&r.address, "listen", "", "serve /healthz, /readyz, /metrics and the page at this address, such as :8080 or 0.0.0.0:8080")
	flags.StringVar(&r.tokenFile, "admin-token-file", "", "file with the token that allows actions on the page")
	flags.BoolVar(&r.showFields, "show-fields", false, "show the fields of messages on the page")
	complete(c, "exclude", completeNames(sys))
	for _, name := range []string{"workers", "burst", "hold-back", "poll", "listen"} {
		complete(c, name, cobra.NoFileCompletions)
	}
	return c
}

// options returns the options of Run.
func (r *relayer) options() []entsignal.FlushOption {
	opts := r.selected.options()
	if r.workers.n > 0 {
		opts = append(opts, entsignal.Workers(r.workers.n))
	}
	if r.burst.n > 0 {
		opts = append(opts, entsignal.Burst(r.burst.n))
	}
	if r.holdBack.set {
		opts = append(opts, entsignal.HoldBack(r.holdBack.d))
	}
	if r.poll.set {
		opts = append(opts, entsignal.Poll(r.poll.d))
	}
	if r.skipDead {
		opts = append(opts, entsignal.SkipDead())
	}
	return opts
}

// run is the command.
func (r *relayer) run(c *cobra.Command, names []string) (err error) {
	r.command, r.selected = c, selection{names: names, exclude: r.exclude}
	if err := r.selected.checkEmpty(); err != nil {
		return cli.NewUsageError(c, err)
	}
	r.log = r.global.logger(c.ErrOrStderr())
	stopper := listen(contextOf(c), r.sys, r.log)
	defer stopper.close()
	r.stopping = stopper.stopping
	token, err := adminToken(lookupEnv, r.tokenFile)
	if err != nil {
		return cli.NewUsageError(c, err)
	}
	if r.front, err = newFront(r.stopping, r.address, r.log); err != nil {
		return err
	}
	defer r.front.close()
	r.front.page = pageOptions(token, r.showFields, r.front.listens(), r.log)
	supervisor, err := newSupervisor(lookupEnv)
	if err != nil {
		return err
	}
	defer supervisor.close()

	bus, closeBus, err := r.open()
	if err != nil || bus == nil {
		return err
	}
	r.front.serves(bus)
	r.watch = watcher{log: r.log, since: time.Now()}
	r.log.Info("relay started", "signals", r.watch.names(bus, r.selected), "listen", r.front.listens())
	ended := make(chan error, 1)
	go func() { ended <- bus.Run(r.stopping, r.options()...) }()
	err = r.attend(bus, supervisor, ended)
	sent := bus.RunState().Sent
	r.front.leaves()

	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	for _, closing := range []error{bus.Close(ctx), closeBus()} {
		if closing != nil {
			r.log.Warn("close failed", "error", redact(closing.Error()))
		}
	}
	if err != nil {
		return err
	}
	result := newResult(int(sent), nil)
	result.Interrupted = true
	return result.print(c.OutOrStdout(), r.global.output.Value)
}

// open opens the bus, and tries again until it can be opened or the relay is to end;
// then it returns no bus.
func (r *relayer) open() (*entsignal.Bus, func() error, error) {
	for failed := 0; ; failed++ {
		ctx, cancel := context.WithCancel(context.WithoutCancel(contextOf(r.command)))
		keep := context.AfterFunc(r.stopping, cancel)
		bus, closeBus, err := openBus(ctx, r.sys)
		interrupted := !keep()
		if err == nil && !interrupted {
			if _, err := r.selected.choose(bus.Signals()); err != nil {
				cancel()
				return nil, nil, errors.Join(cli.NewUsageError(r.command, err), closeBus())
			}
			return bus, func() error { defer cancel(); return closeBus() }, nil
		}
		cancel()
		if interrupted {
			if err == nil {
				err = closeBus()
			} else if errors.Is(err, context.Canceled) {
				err = nil
			}
			return nil, nil, err
		}
		if failed == 0 {
			r.log.Error("can't open the bus, going on to try", "error", redact(err.Error()))
		}
		backoff.Wait(r.stopping, failurePauses().Pause(failed), nil)
		if r.stopping.Err() != nil {
			return nil, nil, err
		}
	}
}

// attend looks at the loops until Run has ended, and returns its error.
func (r *relayer) attend(bus *entsignal.Bus, supervisor *supervisor, ended <-chan error) error {
	ticker := time.NewTicker(readyEvery)
	defer ticker.Stop()
	ready, stopping := false, r.stopping.Done()
	for {
		select {
		case err := <-ended:
			return err
		case <-stopping:
			stopping = nil
			supervisor.tell("STOPPING=1")
		case <-ticker.C:
			state := bus.RunState()
			if !ready && len(state.Loops) > 0 && state.Begun() {
				ready = true
				supervisor.tell("READY=1")
				ticker.Reset(min(watchEvery, supervisor.every()))
			}
			r.watch.see(state)
			if len(state.Stuck()) == 0 {
				supervisor.alive(time.Now())
			}
		}
	}
}

// watcher logs what changes in a relay, and a summary each minute.
type watcher struct {
	log   *slog.Logger
	since time.Time // the last summary
	told  totals    // up to then
	state map[string]loopHealth
}

// totals are what the loops have done.
type totals struct{ sent, passes, failed int64 }

// loopHealth is what was logged of a loop.
type loopHealth struct {
	failing time.Time // zero: it works
	stuck   bool
}

// names returns what the relay is about, for its first line.
func (w *watcher) names(bus *entsignal.Bus, selected selection) []string {
	var names []string
	chosen, _ := selected.choose(bus.Signals())
	for _, info := range chosen {
		names = append(names, info.Name)
	}
	return names
}

// see takes a state.
func (w *watcher) see(s entsignal.RunState) {
	if len(s.Loops) == 0 {
		return
	}
	if w.state == nil {
		w.state = make(map[string]loopHealth)
	}
	var now totals
	for _, l := range s.Loops {
		now.sent += l.Sent
		now.passes += l.Passes
		now.failed += l.Failed
		w.seeLoop(l)
	}
	period := time.Since(w.since)
	if period < summaryEvery {
		return
	}
	args := []any{"sent", now.sent - w.told.sent, "passes", now.passes - w.told.passes, "failed_passes", now.failed - w.told.failed,
		"period", period.Round(time.Second).String()}
	if failing := w.failing(); failing != "" {
		args = append(args, "failing", failing)
	}
	if s.WakeUp.Configured {
		args = append(args, "woken", s.WakeUp.Received, "wake_up_works", s.WakeUp.Proven)
	}
	w.log.Info("summary", args...)
	w.since, w.told = time.Now(), now
}

func (w *watcher) failing() string {
	var names []string
	for name, h := range w.state {
		if !h.failing.IsZero() {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// seeLoop logs a change of one loop.
func (w *watcher) seeLoop(l entsignal.LoopState) {
	h := w.state[l.Signal]
	switch {
	case l.Stuck && !h.stuck:
		w.log.Error("stuck: it hasn't moved", "signal", l.Signal, "since", l.Moved.Format(time.RFC3339))
	case !l.Stuck && h.stuck:
		w.log.Info("moves again", "signal", l.Signal)
	}
	h.stuck = l.Stuck
	switch {
	case !l.FailingSince.IsZero() && h.failing.IsZero() && l.Err != nil:
		w.log.Error("failing, going on to try", "signal", l.Signal, "error", redact(l.Err.Error()))
		h.failing = l.FailingSince
	case l.FailingSince.IsZero() && !h.failing.IsZero():
		w.log.Info("working again", "signal", l.Signal, "failed_for", fmt.Sprint(time.Since(h.failing).Round(time.Millisecond)))
		h.failing = time.Time{}
	}
	w.state[l.Signal] = h
}
