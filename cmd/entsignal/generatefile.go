package main

import (
	"fmt"
	"path/filepath"
	"strings"
)

// generateLine makes "go generate" run entc.go.
const generateLine = "//go:generate go run -mod=mod entc.go"

// planGenerate plans the line that runs entc.go.
func planGenerate(g *generator) (step, error) {
	path := filepath.Join(g.dirs.ent, "generate.go")
	if g.line != nil {
		path = g.line.file
	}
	content, exists, err := read(path)
	switch {
	case err != nil:
		return step{}, err
	case g.command != nil:
		return replaceCommand(g, string(content))
	case g.line != nil:
		return step{path: path, do: toKeep, note: "it runs " + filepath.Base(g.entc)}, nil
	case g.run == "":
		return step{path: g.entc, do: toKeep, note: "no go:generate line runs it"}, nil
	case exists:
		return step{path: path, do: byHand, note: "no line in it runs ent; add", lines: generateLine + "\n"}, nil
	}
	pkg, err := packageName(g.dirs.ent)
	if err != nil {
		return step{}, err
	}
	return step{path: path, do: toCreate, content: []byte("package " + pkg + "\n\n" + generateLine + "\n")}, nil
}

// replaceCommand plans to replace the line that runs ent's own command by one
// that runs entc.go. An entc.go that was there has no settings of that line.
func replaceCommand(g *generator, content string) (step, error) {
	by, err := g.entcLine()
	if err != nil {
		return step{}, err
	}
	s := step{path: g.line.file, do: byHand}
	config, options, why, err := g.flags()
	switch {
	case err != nil:
		return step{}, err
	case why != "":
		s.note = fmt.Sprintf("line %d: %s; move its settings to %s, and replace the line with", g.line.number, why, g.entc)
		s.lines = by + "\n"
		return s, nil
	case g.program != nil && len(config)+len(options) > 0:
		s.note = fmt.Sprintf("line %d runs ent with flags; pass them to entc.Generate in %s, and replace the line with", g.line.number, g.entc)
		s.lines = by + "\n"
		for _, field := range config {
			s.lines += field + ", // in gen.Config\n"
		}
		for _, option := range options {
			s.lines += option + ", // an option\n"
		}
		return s, nil
	}
	lines := strings.SplitAfter(content, "\n")
	old := lines[g.line.number-1]
	lines[g.line.number-1] = by + old[len(strings.TrimRight(old, "\r\n")):]
	s.do, s.content = toChange, []byte(strings.Join(lines, ""))
	return s, nil
}

// entcLine returns the line that runs entc.go in the folder where it has to run.
func (g *generator) entcLine() (string, error) {
	rel, err := relative(g.run, g.entc)
	if err != nil {
		return "", err
	}
	if filepath.Dir(rel) == "." {
		return generateLine, nil
	}
	return strings.Replace(generateLine, "entc.go", filepath.ToSlash(dotted(rel)), 1), nil
}

// planTwice plans to remove the lines that run ent's own command beside entc.go:
// they would overwrite the code with code that has no signals.
func planTwice(g *generator) (steps []step) {
	for _, line := range g.twice {
		steps = append(steps, step{path: line.file, do: byHand, note: fmt.Sprintf("line %d generates the same schema without signals; remove", line.number), lines: line.text + "\n"})
	}
	return steps
}
