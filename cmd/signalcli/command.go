// Package signalcli provides the command group "signalbus". With it, operators
// flush the signals that autoflushes left behind, drain backlogs, see what is
// pending, and deal with signals that can't be sent. Each project builds its own
// program with it, because only the project's code contains the senders:
//
//	func main() {
//		os.Exit(signalcli.ExitCode(signalcli.Command(open).Execute()))
//	}
//
// Results go to standard output, logs and errors to standard error. An unknown
// signal name, duration or subcommand is a usage error: nothing is sent, and the
// exit code is 2. The commands are modelled on those of flask_signalbus, with two
// differences. Those warn about an unknown name and succeed, so a typo in a cron
// job goes unnoticed while nothing is flushed. And here a flush with --repeat
// continues after errors, where theirs ends.
package signalcli

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/entsignal/signalbus/cmd/internal/cli"
	"github.com/entsignal/signalbus/entsignal"
)

// Command returns the command group "signalbus". Use it as the root command of a
// program, or add it to another command. In the latter case the root's hooks
// (PersistentPreRun) and settings (SilenceErrors) stay in force.
//
// open opens the bus. It also returns a function that closes everything it opened,
// which may be nil. open is called after the arguments were checked. Its context
// ends when the command ends. With --repeat it is called again after an error.
//
// A command that fails returns an error, which cobra prints unless the root has
// SilenceErrors. [ExitCode] turns it into the exit code of the process. A flush
// handles SIGINT and SIGTERM; the end of its cobra context counts as the first of
// them.
//
// The group uses the flags -e, -r and -w. If the root has persistent flags with
// these letters, cobra panics.
func Command(open func(context.Context) (*entsignal.Bus, func() error, error)) *cobra.Command {
	return newGroup(system{
		open: open,
		notify: func(c chan<- os.Signal) func() {
			signal.Notify(c, os.Interrupt, syscall.SIGTERM)
			return func() { signal.Stop(c) }
		},
		exit: os.Exit,
		terminal: func(stream any) bool {
			f, ok := stream.(*os.File)
			return ok && term.IsTerminal(int(f.Fd()))
		},
		width: func(stream any) int {
			if f, ok := stream.(*os.File); ok {
				if width, _, err := term.GetSize(int(f.Fd())); err == nil {
					return width
				}
			}
			return 0
		},
	})
}

// system is what the commands need from the program around them.
type system struct {
	open     func(context.Context) (*entsignal.Bus, func() error, error)
	notify   func(chan<- os.Signal) (stop func())
	exit     func(code int)
	terminal func(stream any) bool // an [io.Reader] or [io.Writer]
	width    func(stream any) int  // of a terminal, in columns; 0 if unknown
}

// global holds the flags of all commands.
type global struct {
	output, logFormat, logLevel cli.Enum
}

func newGroup(sys system) *cobra.Command {
	g := &global{
		output:    cli.NewEnum("text", "text", "json"),
		logFormat: cli.NewEnum("text", "text", "json"),
		logLevel:  cli.NewEnum("info", "debug", "info", "warn", "error"),
	}
	c := &cobra.Command{
		Use:   "signalbus",
		Short: "Send pending signals, and show what is pending",
		Long: `Send pending signals, and show what is pending.

Which flush to run:

  flush         what autoflushes failed to send: at intervals, in one process
  flushmany     a backlog of any size, in as many processes as you like
  flushordered  signals whose order matters; for these run no other flush

A message is sent at least once: it repeats when a crash or a lost connection
hides a confirmation. Only "flushordered" keeps an order.

To keep everything flowing as a service, "run" does all of this by itself.

Each flag has an environment variable: SIGNALBUS_HOLD_BACK for --hold-back. One that
may be given several times takes commas. The command line goes first.

Exit code: 0 success, 1 failure, 2 wrong usage, 130 interrupted with signals left.
With --repeat an interrupt is the normal end: 0, or 1 if the last run had failed.
If one signal type fails, the others are still flushed. A flush doesn't fail
because of signals that wait for their next attempt or are dead. It names them in
its result; use "failed" or "pending" to watch for them.`,
		// Without Args and RunE, cobra prints the help for a missing or misspelt subcommand of
		// a group, and exits with 0.
		Args:         subcommandOnly,
		RunE:         func(*cobra.Command, []string) error { return nil },
		SilenceUsage: true,
	}
	flags := c.PersistentFlags()
	flags.Var(&g.output, "output", "format of the result")
	flags.Var(&g.logFormat, "log-format", "format of the log on standard error")
	flags.Var(&g.logLevel, "log-level", "lowest level that is logged")
	completeEnum(c, "output", &g.output)
	completeEnum(c, "log-format", &g.logFormat)
	completeEnum(c, "log-level", &g.logLevel)
	c.SetFlagErrorFunc(func(c *cobra.Command, err error) error { return cli.NewUsageError(c, err) })
	c.AddCommand(
		newFlushCommand(sys, g),
		newFlushManyCommand(sys, g),
		newFlushOrderedCommand(sys, g),
		newRunCommand(sys, g),
		newSignalsCommand(sys, g),
		newPendingCommand(sys, g),
		newCheckCommand(sys, g),
		newShowCommand(sys, g),
		newFailedCommand(sys, g),
		newRetryCommand(sys, g),
		newDiscardCommand(sys, g),
	)
	return c
}

// subcommandOnly returns the error if cobra found no subcommand.
func subcommandOnly(c *cobra.Command, args []string) error {
	var names []string
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() {
			names = append(names, sub.Name())
		}
	}
	known := strings.Join(names, ", ")
	if len(args) == 0 {
		return cli.UsageErrorf(c, "missing subcommand; expected one of: %s", known)
	}
	return cli.UsageErrorf(c, "unknown subcommand %q%s; expected one of: %s", args[0], didYouMean(args[0], names), known)
}

// noArgs rejects arguments.
func noArgs(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return cli.UsageErrorf(c, "unexpected argument %q; %s takes none", args[0], c.Name())
	}
	return nil
}

// runE adapts run for cobra. It removes passwords from error texts. With JSON logs
// the error is logged, and nothing else goes to standard error.
func (g *global) runE(run func(*cobra.Command, []string) error) func(*cobra.Command, []string) error {
	return func(c *cobra.Command, args []string) error {
		err := readEnvironment(c, lookupEnv)
		if err == nil {
			err = run(c, args)
		}
		err = redacted(err)
		if err != nil && g.logFormat.Value == "json" {
			g.logger(c.ErrOrStderr()).Error("command failed", "command", c.CommandPath(), "error", err.Error())
			c.SilenceErrors = true
		}
		return err
	}
}

// withBus opens the bus, calls use, and closes the bus.
func withBus(c *cobra.Command, sys system, use func(context.Context, *entsignal.Bus) error) (err error) {
	ctx := contextOf(c)
	bus, closeBus, err := openBus(ctx, sys)
	if err != nil {
		return err
	}
	defer func() {
		if closing := closeBus(); err == nil && closing != nil {
			err = fmt.Errorf("close: %w", closing)
		}
	}()
	return use(ctx, bus)
}

// openBus calls the program's open and checks what it returns.
func openBus(ctx context.Context, sys system) (*entsignal.Bus, func() error, error) {
	bus, closeBus, err := sys.open(ctx)
	if closeBus == nil {
		closeBus = func() error { return nil }
	}
	if err != nil {
		return nil, nil, fmt.Errorf("open the bus: %w", err)
	}
	if bus == nil {
		return nil, nil, fmt.Errorf("open the bus: the program's open function returned no bus")
	}
	return bus, closeBus, nil
}

// contextOf returns the command's context. In completions of older versions cobra
// leaves it nil.
func contextOf(c *cobra.Command) context.Context {
	if ctx := c.Context(); ctx != nil {
		return ctx
	}
	return context.Background()
}
