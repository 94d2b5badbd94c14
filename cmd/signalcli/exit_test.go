package signalcli

import (
	"errors"
	"fmt"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/cmd/internal/cli"
	"github.com/entsignal/signalbus/internal/view"
)

func TestExitCode(t *testing.T) {
	usage := cli.UsageErrorf(&cobra.Command{Use: "x"}, "wrong")
	assert.Equal(t, 0, ExitCode(nil))
	assert.Equal(t, 1, ExitCode(errors.New("any")))
	assert.Equal(t, 1, ExitCode(&flushFailed{result{Flush: view.Flush{Failed: []view.Failure{{Signal: "A", Err: errors.New("x")}}}}}))
	assert.Equal(t, 2, ExitCode(usage))
	assert.Equal(t, 2, ExitCode(fmt.Errorf("in the program: %w", usage)))
	assert.Equal(t, 2, ExitCode(redacted(usage)))
}

// The errors that cobra finds before it comes to the group have no type that
// says so; this notices if a new version words them otherwise.
func TestExitCodeOfTheProgramsOwnUsageErrors(t *testing.T) {
	for _, args := range [][]string{
		{"nonsense"},
		{"--nonsense"},
		{"-x"},
		{"--number"},
		{"--number", "x"},
		{"other"},
	} {
		root := &cobra.Command{Use: "app", SilenceErrors: true, SilenceUsage: true, RunE: nil}
		root.PersistentFlags().Int("number", 0, "")
		other := &cobra.Command{Use: "other", RunE: func(*cobra.Command, []string) error { return nil }}
		other.Flags().String("needed", "", "")
		require.NoError(t, other.MarkFlagRequired("needed"))
		root.AddCommand(other, Command(nil))
		root.SetArgs(args)
		assert.Equal(t, 2, ExitCode(root.Execute()), args)
	}
}
