package signalcli_test

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/entsignal/signalbus/cmd/signalcli"
	"github.com/entsignal/signalbus/entsignal"
)

// open is the program's own: it returns its bus, and a function that closes it.
func open(context.Context) (*entsignal.Bus, func() error, error) {
	return nil, nil, errors.New("DATABASE_URL is empty")
}

// The group is a program's root command, or one of its commands. In main:
//
//	os.Exit(signalcli.ExitCode(root.Execute()))
func ExampleCommand() {
	root := &cobra.Command{Use: "shop"}
	root.AddCommand(signalcli.Command(open))

	root.SetErr(os.Stdout)
	root.SetArgs([]string{"signalbus", "flush", "--wait", "0"})
	fmt.Println("exit code", signalcli.ExitCode(root.Execute()))
	// Output:
	// 0 signals sent, failed
	// Error: open the bus: DATABASE_URL is empty
	// exit code 1
}

// Wrong usage has an exit code of its own; nothing was sent then.
func ExampleExitCode() {
	group := signalcli.Command(open)
	group.SetErr(os.Stdout)
	group.SetArgs([]string{"flush", "--wait", "soon"})
	fmt.Println("exit code", signalcli.ExitCode(group.Execute()))
	// Output:
	// Error: invalid argument "soon" for "-w, --wait" flag: not a duration; expected a duration such as 5s, or a number of seconds such as 0.5, from 0 and at most 24h0m0s
	// Run 'signalbus flush --help' for usage.
	// exit code 2
}
