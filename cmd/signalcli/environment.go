package signalcli

import (
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/entsignal/signalbus/cmd/internal/cli"
)

// envPrefix begins the names of the environment variables that stand for flags.
const envPrefix = "SIGNALBUS_"

// envName returns the environment variable of a flag: SIGNALBUS_HOLD_BACK of
// --hold-back.
func envName(flag string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// readEnvironment sets the flags of a command that the command line doesn't have,
// by their environment variables. An empty one is none. A flag that may be given
// several times takes words with commas between them. A bad value is a usage error
// that doesn't show it.
func readEnvironment(c *cobra.Command, lookup func(string) (string, bool)) (err error) {
	set := func(f *pflag.Flag) {
		text, ok := lookup(envName(f.Name))
		if err != nil || f.Changed || f.Name == "help" || !ok || text == "" {
			return
		}
		words := []string{text}
		if _, several := f.Value.(namesValue); several {
			words = strings.Split(text, ",")
		}
		for _, word := range words {
			if failed := f.Value.Set(strings.TrimSpace(word)); failed != nil {
				err = cli.UsageErrorf(c, "invalid value of the environment variable %s for --%s: %w", envName(f.Name), f.Name, failed)
				return
			}
		}
		f.Changed = true
	}
	c.LocalNonPersistentFlags().VisitAll(set)
	if group := c.Parent(); group != nil {
		group.PersistentFlags().VisitAll(set)
	}
	return err
}

var lookupEnv = os.LookupEnv
