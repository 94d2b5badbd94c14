package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/entsignal/signalbus/cmd/signalcli"
)

// exitUsage is the exit code of wrong usage, the same as in [signalcli].
const exitUsage = 2

// exitCode returns the exit code for what Execute returned.
func exitCode(err error) int {
	var usage *usageError
	if errors.As(err, &usage) {
		return exitUsage
	}
	return signalcli.ExitCode(err)
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
