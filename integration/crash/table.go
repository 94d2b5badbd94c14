package crash

import (
	"fmt"
	"strings"
	"text/tabwriter"
	"time"
)

// Table shows the results of several runs.
func Table(results []Result) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "mode\tdatabase\tkills\tterms\tpauses\tsessions\tcuts\tfailed calls\tcommitted\tlost\tphantom\trepeats\tunexplained\tinversions by key\tby id\ttook\t")
	for _, r := range results {
		fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%v\t\n",
			r.Mode.Name, r.Kind.Name, r.Faults.Kills, r.Faults.Terms, r.Faults.Pauses, r.Faults.Sessions, r.Faults.Cuts, r.Failed, r.Committed, r.Lost, r.Phantom,
			r.Repeats, r.Unexplained, r.KeyInversions, r.IDInversions, r.Took.Round(10*time.Millisecond))
	}
	_ = w.Flush()
	return b.String()
}
