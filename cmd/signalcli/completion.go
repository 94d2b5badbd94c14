package signalcli

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/entsignal/signalbus/cmd/internal/cli"
)

// completionTimeout limits how long a shell waits for the names.
const completionTimeout = 3 * time.Second

// completeNames completes the names of signals. If the bus can't be opened, there are none.
func completeNames(sys system) cobra.CompletionFunc {
	return func(c *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		ctx, cancel := context.WithTimeout(contextOf(c), completionTimeout)
		defer cancel()
		bus, closeBus, err := openBus(ctx, sys)
		if err != nil {
			cobra.CompErrorln(redact(err.Error()))
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		defer func() { _ = closeBus() }()
		given := make(map[string]bool)
		for _, arg := range args {
			given[arg] = true
		}
		var names []cobra.Completion
		for _, info := range bus.Signals() {
			if !given[info.Name] {
				names = append(names, info.Name)
			}
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}

// completeEnum makes the shell complete the words of the flag.
func completeEnum(c *cobra.Command, flag string, v *cli.Enum) {
	complete(c, flag, cobra.FixedCompletions(v.Allowed, cobra.ShellCompDirectiveNoFileComp))
}

// complete sets how the shell completes the flag.
func complete(c *cobra.Command, flag string, f cobra.CompletionFunc) {
	if err := c.RegisterFlagCompletionFunc(flag, f); err != nil {
		panic(err) // a flag that isn't there, or is registered twice: a slip in this package
	}
}
