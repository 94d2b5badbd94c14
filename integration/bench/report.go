package main

import (
	"fmt"
	"io"
	"strconv"
	"text/tabwriter"
)

// printTable prints the results with their targets.
func printTable(w io.Writer, results []result) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "row\tfloor\tours\tratio\ttarget\t")
	for _, r := range results {
		fmt.Fprintf(t, "%s\t%s %s\t%s %s\t%s\t%s\t\n", r.name, r.floors, r.unit, r.ours, r.unit, r.ratios, r.verdict())
	}
	return t.Flush()
}

// verdict tells the target of the row and whether it is met.
func (r result) verdict() string {
	for _, t := range targets() {
		if t.name != r.name {
			continue
		}
		sign, word := ">=", "missed"
		if t.better == lower {
			sign = "<="
		}
		if t.met(r.ratios.median) {
			word = "met"
		}
		return fmt.Sprintf("%s %v %s", sign, t.value, word)
	}
	return ""
}

// String is the median, and the range in brackets.
func (s spread) String() string {
	return fmt.Sprintf("%s [%s to %s]", short(s.median), short(s.least), short(s.most))
}

// short writes a number with three digits, or with all before the point.
func short(v float64) string {
	switch {
	case v >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case v >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	default:
		return strconv.FormatFloat(v, 'f', 2, 64)
	}
}
