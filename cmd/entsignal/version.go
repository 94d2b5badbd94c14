package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

func newVersionCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "version",
		Short:             "Show the versions of entsignal, ent and Go",
		Long:              `Show the versions of entsignal, ent and Go that this program was built with.`,
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(c *cobra.Command, _ []string) error {
			own, ent := "unknown", "unknown"
			if info, ok := debug.ReadBuildInfo(); ok {
				own, ent = versionOf(info, "github.com/entsignal/signalbus"), versionOf(info, "entgo.io/ent")
			}
			_, err := fmt.Fprintf(c.OutOrStdout(), "entsignal %s\nent %s\ngo %s\n", own, ent, runtime.Version())
			return err
		},
	}
}

// versionOf returns the version of a module that is built in.
func versionOf(info *debug.BuildInfo, path string) string {
	for _, m := range append([]*debug.Module{&info.Main}, info.Deps...) {
		switch {
		case m.Path != path:
		case m.Replace != nil && m.Replace.Version == "":
			return m.Version + " => " + m.Replace.Path
		case m.Replace != nil:
			return m.Version + " => " + m.Replace.Path + " " + m.Replace.Version
		case m.Version != "":
			return m.Version
		}
	}
	return "unknown"
}
