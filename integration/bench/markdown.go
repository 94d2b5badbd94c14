package main

import (
	_ "embed"
	"fmt"
	"io"
	"strings"
	"text/template"
)

//go:embed benchmarks.md.tmpl
var markdown string

// writeMarkdown writes docs/benchmarks.md.
func (rep report) writeMarkdown(w io.Writer) error {
	t, err := template.New("benchmarks.md").Parse(markdown)
	if err != nil {
		return err
	}
	targeted, others := [][]string{}, [][]string{}
	for _, target := range targets() {
		for _, r := range rep.results {
			if r.name == target.name {
				targeted = append(targeted, r.cells())
			}
		}
	}
	var usages [][]string
	told := make(map[string]bool)
	for _, r := range rep.results {
		if _, ok := r.target(); !ok {
			others = append(others, r.cells())
		}
		for _, u := range r.usages {
			if u.client > 0 && !told[u.side] {
				usages = append(usages, u.cells())
				told[u.side] = true
			}
		}
	}
	facts := make([][]string, len(rep.facts))
	for i, f := range rep.facts {
		facts[i] = []string{f.name, f.value}
	}
	header := []string{"", "baseline", "ours", "unit", "ratio", "target"}
	return t.Execute(w, map[string]any{
		"Quick":    rep.quick,
		"Rounds":   rep.rounds,
		"Machine":  rep.machine,
		"Targeted": markdownTable(header, targeted),
		"Others":   markdownTable(header[:5], others),
		"Usages":   markdownTable([]string{"", "client", "database", "broker", "memory, MiB"}, usages),
		"Facts":    markdownTable([]string{"", ""}, facts),
	})
}

// cells are the result as a row of a table, without the target if it has none.
func (r result) cells() []string {
	cells := []string{r.name, r.floorText(), r.ours.String(), r.unit, r.ratio.String()}
	if _, ok := r.target(); ok {
		cells = append(cells, r.verdict())
	}
	return cells
}

func (u usage) cells() []string {
	return []string{
		u.side, fmt.Sprintf("%.1f", u.client), fmt.Sprintf("%.1f", u.database), fmt.Sprintf("%.1f", u.broker), fmt.Sprintf("%.0f", u.memory),
	}
}

func markdownTable(header []string, rows [][]string) string {
	var b strings.Builder
	line := func(cells []string) { b.WriteString("| " + strings.Join(cells, " | ") + " |\n") }
	line(header)
	b.WriteString(strings.Repeat("|---", len(header)) + "|\n")
	for _, row := range rows {
		line(row)
	}
	return strings.TrimSuffix(b.String(), "\n")
}
