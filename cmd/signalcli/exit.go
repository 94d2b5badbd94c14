package signalcli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// The exit codes of the commands.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130 // as a shell shows a process that SIGINT has ended
)

// ExitCode returns the exit code for what the root command's Execute
// returned: 0 for nil, 2 for wrong usage, with which nothing was sent, and 1
// for any other error.
func ExitCode(err error) int {
	var usage *usageError
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &usage), isRootUsage(err):
		return exitUsage
	default:
		return exitFailed
	}
}

// usageError is an error of the one who typed the command.
type usageError struct {
	command string // its path, for the hint
	err     error
}

func (e *usageError) Error() string {
	return fmt.Sprintf("%v\nRun '%s --help' for usage.", e.err, e.command)
}

// Unwrap returns what is wrong, without the hint.
func (e *usageError) Unwrap() error { return e.err }

func newUsageError(c *cobra.Command, err error) error {
	return &usageError{command: c.CommandPath(), err: err}
}

func usageErrorf(c *cobra.Command, format string, args ...any) error {
	return newUsageError(c, fmt.Errorf(format, args...))
}

// isRootUsage reports whether err is a usage error of the program's own root,
// which cobra returns before it comes to the group. Some have no type.
func isRootUsage(err error) bool {
	var (
		missing  *pflag.NotExistError
		noValue  *pflag.ValueRequiredError
		badValue *pflag.InvalidValueError
		syntax   *pflag.InvalidSyntaxError
	)
	return errors.As(err, &missing) || errors.As(err, &noValue) || errors.As(err, &badValue) || errors.As(err, &syntax) ||
		strings.HasPrefix(err.Error(), "unknown command ") || strings.HasPrefix(err.Error(), "required flag(s) ")
}
