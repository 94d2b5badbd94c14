package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"text/tabwriter"
)

// report is all that a run of the command found.
type report struct {
	quick   bool
	rounds  int
	machine []string
	results []result
	facts   []fact
}

// printTable prints the results with their targets.
func (rep report) printTable(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "row\tbaseline\tours\tunit\tratio\ttarget\t")
	for _, r := range rep.results {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t\n", r.name, r.floorText(), r.ours, r.unit, r.ratio, r.verdict())
	}
	return t.Flush()
}

// entry is one result as JSON: medians, and the target of the ratio.
type entry struct {
	Name   string   `json:"name"`
	Floor  *float64 `json:"floor"` // null without a floor; then the ratio is ours
	Ours   float64  `json:"ours"`
	Ratio  float64  `json:"ratio"`
	Target float64  `json:"target"`
	Better string   `json:"better"` // higher or lower
}

// writeJSON writes the results that have a target, in the order of the targets.
func (rep report) writeJSON(w io.Writer) error {
	entries := make([]entry, 0, len(rep.results))
	for _, t := range targets() {
		for _, r := range rep.results {
			if r.name != t.name {
				continue
			}
			e := entry{Name: r.name, Ours: r.ours.median, Ratio: r.ratio.median, Target: t.value, Better: t.better}
			if r.floor != nil {
				e.Floor = &r.floor.median
			}
			entries = append(entries, e)
		}
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(entries)
}

// target returns the target of the row, if it has one.
func (r result) target() (target, bool) {
	for _, t := range targets() {
		if t.name == r.name {
			return t, true
		}
	}
	return target{}, false
}

// verdict tells the target of the row and whether it is met.
func (r result) verdict() string {
	t, ok := r.target()
	if !ok {
		return ""
	}
	sign, word := "at least", "missed"
	if t.better == lower {
		sign = "at most"
	}
	if t.met(r.ratio.median) {
		word = "met"
	}
	return fmt.Sprintf("%s %v: %s", sign, t.value, word)
}

func (r result) floorText() string {
	if r.floor == nil {
		return "-"
	}
	return r.floor.String()
}

// String is the median, and the range in brackets.
func (s spread) String() string {
	return fmt.Sprintf("%s (%s to %s)", short(s.median), short(s.least), short(s.most))
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
