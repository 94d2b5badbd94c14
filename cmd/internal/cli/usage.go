// Package cli is what the commands of this repository share.
package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
)

// UsageError is an error of the one who typed the command.
type UsageError struct {
	command string // its path, for the hint
	err     error
}

func (e *UsageError) Error() string {
	return fmt.Sprintf("%v\nRun '%s --help' for usage.", e.err, e.command)
}

// Unwrap returns what is wrong, without the hint.
func (e *UsageError) Unwrap() error { return e.err }

// NewUsageError returns err as a usage error of the command.
func NewUsageError(c *cobra.Command, err error) error {
	return &UsageError{command: c.CommandPath(), err: err}
}

// UsageErrorf returns a usage error of the command.
func UsageErrorf(c *cobra.Command, format string, args ...any) error {
	return NewUsageError(c, fmt.Errorf(format, args...))
}

// IsUsage reports whether err is a usage error.
func IsUsage(err error) bool {
	var usage *UsageError
	return errors.As(err, &usage)
}
