package cli

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/entsignal/signalbus/entsignal"
)

// PrintSignals prints a table of signals.
func PrintSignals(w io.Writer, infos []entsignal.Info) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "SIGNAL\tTABLE\tAUTOFLUSH\tBURST\tORDER")
	for _, info := range infos {
		autoflush, order := "on", "-"
		if !info.AutoFlush {
			autoflush = "off"
		}
		if len(info.OrderBy) > 0 {
			terms := make([]string, len(info.OrderBy))
			for i, term := range info.OrderBy {
				terms[i] = string(term)
			}
			order = strings.Join(terms, ", ")
		}
		if info.OrderKey != "" {
			order = "each " + info.OrderKey + ": " + order
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%s\n", info.Name, info.Table, autoflush, info.BurstCount, order)
	}
	return t.Flush()
}
