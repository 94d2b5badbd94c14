package signalcli

import (
	"errors"
	"strings"

	"github.com/spf13/pflag"

	"github.com/entsignal/signalbus/cmd/internal/cli"
)

// The exit codes of the commands.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130 // as a shell shows a process that SIGINT has ended
)

// errInterrupted is the error of a flush that was stopped by SIGINT or SIGTERM
// before it was done.
var errInterrupted = errors.New("interrupted with signals left; run the command again to send them")

// ExitCode returns the exit code for the error of the root command's Execute: 0 for
// nil, 2 for wrong usage, in which case nothing was sent, 130 for a flush without
// --repeat that was interrupted before it was done and of which nothing failed, and
// 1 for any other error.
func ExitCode(err error) int {
	switch {
	case err == nil:
		return exitDone
	case cli.IsUsage(err), isRootUsage(err):
		return exitUsage
	case errors.Is(err, errInterrupted):
		return exitInterrupted
	default:
		return exitFailed
	}
}

// isRootUsage reports whether err is a usage error of the program's own root, which
// cobra returns before it reaches the group. Some of these errors have no type.
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
