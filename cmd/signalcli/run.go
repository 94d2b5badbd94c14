package signalcli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"github.com/entsignal/signalbus/cmd/internal/cli"
	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/internal/view"
)

// closeTimeout limits how long a command waits at the end for what still runs in
// the bus.
const closeTimeout = 15 * time.Second

// flusher is one of the three flush commands. The fields up to timeout belong to
// the flags; the others are needed for a run.
type flusher struct {
	sys    system
	global *global
	mode   entsignal.Mode
	// own returns the options that the mode's own flags ask for.
	own     func() []entsignal.FlushOption
	exclude []string
	burst   countValue
	repeat  durationValue
	timeout durationValue

	command  *cobra.Command
	selected selection
	log      *slog.Logger
	stopper  *stopper
	bus      *entsignal.Bus // nil until it is open
	closeBus func() error
	unhook   func() bool
	ended    context.CancelFunc // ends the context of the bus
}

// flags adds the flags of all three flushes, and their completions.
func (f *flusher) flags(c *cobra.Command) {
	f.burst.most = entsignal.MaxBurstCount
	flags := c.Flags()
	flags.VarP(namesValue{&f.exclude, "NAME"}, "exclude", "e", "leave this signal out; may be given several times")
	flags.VarP(&f.repeat, "repeat", "r", "flush repeatedly; the time from one start to the next")
	flags.Var(&f.timeout, "timeout", "end a run that takes longer; unsent signals stay pending")
	flags.Var(&f.burst, "burst", "rows per transaction, instead of each signal's burst count")
	c.ValidArgsFunction = completeNames(f.sys)
	complete(c, "exclude", completeNames(f.sys))
	for _, name := range []string{"repeat", "timeout", "burst"} {
		complete(c, name, cobra.NoFileCompletions)
	}
}

// run runs the command. The arguments were checked before, and the bus isn't open
// yet.
func (f *flusher) run(c *cobra.Command, names []string) error {
	f.command, f.selected = c, selection{names: names, exclude: f.exclude}
	if err := f.selected.checkEmpty(); err != nil {
		return cli.NewUsageError(c, err)
	}
	screen := newScreen(c.ErrOrStderr(), f.repeat.d == 0 && f.mode != entsignal.ModeFlush && f.sys.terminal(c.ErrOrStderr()), f.sys.width(c.ErrOrStderr()))
	f.log = f.global.logger(screen)
	f.stopper = listen(contextOf(c), f.sys, f.log)
	defer f.stopper.close()
	defer f.close()

	r := f.loop(screen)
	if usage := (*cli.UsageError)(nil); errors.As(r.Err, &usage) {
		return usage
	}
	if f.repeat.d == 0 {
		for _, failed := range r.Failed {
			f.log.Error("signal type failed", "signal", failed.Signal, "error", failed.Error)
		}
	}
	r.Interrupted = f.stopper.stopping.Err() != nil
	f.countLeftOut(&r)
	if err := r.print(c.OutOrStdout(), f.global.output.Value); err != nil {
		return err
	}
	if r.Interrupted && r.Left && r.ok() && f.repeat.d == 0 {
		return errInterrupted
	}
	return r.cause()
}

// countLeftOut notes what the flush has left out. After an interrupt it doesn't
// count. A database that can't count doesn't make the flush fail.
func (f *flusher) countLeftOut(r *result) {
	if f.bus == nil || r.Interrupted {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(contextOf(f.command)), pollTimeout)
	defer cancel()
	counts, err := f.bus.Pending(ctx, f.selected.options()...)
	if err != nil {
		f.log.Debug("can't count the signals that were left out", "error", redact(err.Error()))
	}
	for _, c := range counts {
		if c.Waiting+c.Dead > 0 {
			r.LeftOut = append(r.LeftOut, view.LeftOut{Signal: c.Name, Waiting: c.Waiting, Dead: c.Dead})
		}
	}
	r.ofThem = f.command.Parent().CommandPath() + " failed"
}

// try runs one flush. It opens the bus unless an earlier try did.
func (f *flusher) try(screen *screen) result {
	if f.bus == nil {
		if err := f.open(); err != nil {
			return newResult(0, err)
		}
	}
	ctx := context.WithoutCancel(contextOf(f.command)) // the end of this context closes the bus, so that a batch in progress can finish
	if f.timeout.set {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, f.timeout.d)
		defer cancel()
	}
	opts := append(f.selected.options(), f.own()...)
	if f.burst.n > 0 {
		opts = append(opts, entsignal.Burst(f.burst.n))
	}
	flush := f.bus.Flush
	switch f.mode {
	case entsignal.ModeFlushMany:
		flush = f.bus.FlushMany
	case entsignal.ModeFlushOrdered:
		flush = f.bus.FlushOrdered
	}
	progress := screen.follow(ctx, f.bus, f.selected)
	sent, err := flush(ctx, opts...)
	progress.end(sent)
	r := newResult(sent, err)
	for i := range r.Failed {
		if ctx.Err() != nil && errors.Is(r.Failed[i].Err, context.DeadlineExceeded) {
			r.Failed[i].Error = fmt.Sprintf("ended by --timeout %v: %s", f.timeout.d, r.Failed[i].Error)
		}
	}
	f.log.Debug("flushed", "mode", f.mode.String(), "sent", sent, "failed", r.failing())
	return r
}

// open opens the bus and checks the names. An interrupt ends the opening. Once the
// bus is open, an interrupt makes it stop after the current batch.
func (f *flusher) open() error {
	stopping := f.stopper.stopping
	ctx, cancel := context.WithCancel(context.WithoutCancel(contextOf(f.command)))
	keep := context.AfterFunc(stopping, cancel)
	inTime := func() bool { return true }
	if f.timeout.set {
		inTime = time.AfterFunc(f.timeout.d, cancel).Stop
	}
	bus, closeBus, err := openBus(ctx, f.sys)
	interrupted, late := !keep(), !inTime()
	switch {
	case err != nil:
		if interrupted && errors.Is(err, context.Canceled) {
			return entsignal.ErrClosed // nothing failed
		}
		if late {
			err = fmt.Errorf("%w (--timeout %v)", err, f.timeout.d)
		}
		cancel()
		return err
	case interrupted: // what was opened may depend on a context that has ended
		f.closing(closeBus())
		return entsignal.ErrClosed
	case late:
		f.closing(closeBus())
		return fmt.Errorf("open the bus: --timeout %v: %w", f.timeout.d, context.DeadlineExceeded)
	}
	chosen, err := f.selected.choose(bus.Signals())
	if err != nil {
		f.closing(closeBus())
		cancel()
		return cli.NewUsageError(f.command, err)
	}
	f.log.Debug("the bus is open", "signals", len(chosen))
	f.warn(chosen)
	f.bus, f.closeBus, f.ended = bus, closeBus, cancel
	f.unhook = context.AfterFunc(stopping, func() {
		ended, end := context.WithCancel(context.Background())
		end()
		_ = bus.Close(ended) // starts to close without waiting
	})
	return nil
}

// warn logs once which signals are not flushed as the command promises.
func (f *flusher) warn(chosen []entsignal.Info) {
	if f.mode != entsignal.ModeFlushOrdered {
		return
	}
	var unordered []string
	for _, info := range chosen {
		if len(info.OrderBy) == 0 {
			unordered = append(unordered, info.Name)
		}
	}
	if unordered != nil {
		f.log.Warn("signals without an order are sent by id", "signals", unordered)
	}
}

// close closes what open has opened.
func (f *flusher) close() {
	if f.bus == nil {
		return
	}
	f.unhook()
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	f.closing(f.bus.Close(ctx))
	f.closing(f.closeBus())
	f.ended()
	f.bus = nil
}

// closing logs an error of closing. The flush doesn't fail because of it: its
// messages are sent.
func (f *flusher) closing(err error) {
	if err != nil {
		f.log.Warn("close failed", "error", redact(err.Error()))
	}
}
