package main

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
)

// generateLine makes "go generate" run entc.go.
const generateLine = "//go:generate go run -mod=mod entc.go"

// planGenerate plans generate.go.
func planGenerate(d dirs) (step, error) {
	path := filepath.Join(d.ent, "generate.go")
	content, exists, err := read(path)
	if err != nil {
		return step{}, err
	}
	if !exists {
		pkg, err := packageName(d.ent)
		if err != nil {
			return step{}, err
		}
		return step{path: path, do: toCreate, content: []byte("package " + pkg + "\n\n" + generateLine + "\n")}, nil
	}
	patched, changed, why := patchGenerate(string(content), filepath.Base(d.schema))
	switch {
	case why != "":
		return step{path: path, do: byHand, note: why, lines: generateLine + "\n"}, nil
	case !changed:
		return step{path: path, do: toKeep, note: "it runs entc.go"}, nil
	default:
		return step{path: path, do: toChange, content: []byte(patched)}, nil
	}
}

// patchGenerate replaces the line that runs the ent command, as "ent new"
// writes it, by the one that runs entc.go. It says why if it can't.
func patchGenerate(content, schema string) (patched string, changed bool, why string) {
	var (
		asEnt = regexp.MustCompile(`^//go:generate go run (-mod=\w+ )?entgo\.io/ent/cmd/entc? generate (\./)?` + regexp.QuoteMeta(schema) + `\s*$`)
		ours  = regexp.MustCompile(`^//go:generate .*\bentc\.go\b`)
		runs  = regexp.MustCompile(`^//go:generate .*\bentc?\b.* generate\b`)
		lines = strings.SplitAfter(content, "\n")
	)
	for i, line := range lines {
		switch {
		case ours.MatchString(line):
			return content, false, ""
		case asEnt.MatchString(line):
			end := line[len(strings.TrimRight(line, "\r\n")):]
			lines[i] = generateLine + end
			return strings.Join(lines, ""), true, ""
		case runs.MatchString(line):
			return "", false, fmt.Sprintf("line %d runs ent, not as ent writes it; remove it and give its settings to entc.go (--feature NAME is the option entc.FeatureNames(\"NAME\"))", i+1)
		}
	}
	return "", false, "no line of it runs ent"
}
