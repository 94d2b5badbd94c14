package docs

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/entsignal/signalbus/cmd/signalcli"
)

// checker knows what documents may name.
type checker struct {
	snippets map[string]string // by name
	used     map[string]bool
	tests    map[string]bool
	mutants  map[string]bool
	killed   map[string]bool
	targets  map[string]bool
	services map[string]bool            // commands of integration/services
	exported map[string]map[string]bool // by package
}

func newChecker(t *testing.T) *checker {
	t.Helper()
	return &checker{
		snippets: snippets(t),
		used:     make(map[string]bool),
		tests:    allTests(t),
		mutants:  allMutants(t),
		killed:   make(map[string]bool),
		targets:  matches(t, "Makefile", `(?m)^([a-z-]+):`),
		services: matches(t, "integration/services", `(?m)^  (up|down|kill|status|env|run|install|rabbitmqctl) `),
		exported: map[string]map[string]bool{
			"entsignal":     exported(t, "entsignal"),
			"codegen":       exported(t, "entsignal/codegen"),
			"rabbitmq":      exported(t, "entsignal/rabbitmq"),
			"pqconn":        exported(t, "entsignal/pqconn"),
			"signalmetrics": exported(t, "entsignal/signalmetrics"),
			"entsignaltest": exported(t, "entsignal/entsignaltest"),
			"mixin":         exported(t, "mixin"),
			"otelsignal":    exported(t, "otelsignal"),
			"otelrabbitmq":  exported(t, "otelsignal/otelrabbitmq"),
			"signalcli":     exported(t, "cmd/signalcli"),
			"ent":           exported(t, "integration/docs/ent"),
		},
	}
}

// problems returns all that is wrong with a document.
func (c *checker) problems(name, content string) (all []string) {
	at := 0
	report := func(format string, args ...any) {
		all = append(all, fmt.Sprintf("line %d: ", at)+fmt.Sprintf(format, args...))
	}
	lines := strings.Split(strings.TrimSuffix(content, "\n"), "\n")
	for i := 0; i < len(lines); i++ {
		at = i + 1
		if f := fence.FindStringSubmatch(lines[i]); f != nil {
			end := i + 1
			for end < len(lines) && lines[end] != "```" {
				end++
			}
			if end == len(lines) {
				report("code without an end")
				return all
			}
			code := lines[i+1 : end]
			switch language := f[1]; language {
			case "go":
				before := ""
				if i > 0 {
					before = lines[i-1]
				}
				if c.typed(name, before) {
					break
				}
				c.checkGo(before, strings.Join(code, "\n"), report)
			case "sh", "console":
				if strings.HasPrefix(name, examples) || i > 0 && c.typed(name, lines[i-1]) {
					break
				}
				for n, line := range code {
					at = i + 2 + n
					line, prompted := strings.CutPrefix(line, "$ ")
					if language == "sh" || prompted {
						c.checkCommand(line, report)
					}
				}
			case "text":
			default:
				report("code of the unknown language %q", language)
			}
			i = end
			continue
		}
		c.checkText(name, lines[i], report)
	}
	return all
}

func (c *checker) checkGo(before, code string, report func(string, ...any)) {
	m := marker.FindStringSubmatch(before)
	if m == nil {
		report("Go code without the name of its snippet")
		return
	}
	snippet, ok := c.snippets[m[1]]
	switch {
	case !ok:
		report("unknown snippet %s", m[1])
	case snippet != code:
		report("the code differs from snippet %s, which is:\n%s", m[1], snippet)
	}
	c.used[m[1]] = true
}

// typed reports whether a block is one that a test in integration/tool types as
// a reader of the page would.
func (c *checker) typed(name, before string) bool {
	return (name == "README.md" || name == "docs/tutorial.md") && typedMarker.MatchString(before)
}

// checkCommand checks one line of a shell.
func (c *checker) checkCommand(line string, report func(string, ...any)) {
	line, _, _ = strings.Cut(line, "#")
	words := strings.Fields(line)
	if len(words) == 0 {
		return
	}
	switch args := words[1:]; words[0] {
	case "make":
		target := slices.IndexFunc(args, func(a string) bool {
			return !strings.ContainsAny(a, "=.'") && !strings.HasPrefix(a, "-")
		})
		if target < 0 || !c.targets[args[target]] {
			report("no make target %s", strings.Join(args, " "))
		}
	case "eval":
		if line != `eval "$(integration/services env)"` {
			report("unknown command %s", line)
		}
	case "integration/services":
		if len(args) == 0 || !c.services[args[0]] {
			report("integration/services has no command %s", strings.Join(args, " "))
		}
	case "cd":
		if !isDir(filepath.Join(repo, args[0])) {
			report("no directory %s", args[0])
		}
	case "go":
		if args[0] == "test" && !isDir(filepath.Join(repo, "integration", args[1])) {
			report("no directory integration/%s", args[1])
		}
	case "signalbus":
		// With the help as last wish it runs nothing, and still refuses what
		// it doesn't know.
		group := signalcli.Command(nil)
		group.SilenceErrors = true
		group.SetOut(new(strings.Builder))
		if found, _, err := group.Find(args); err != nil || found == group {
			report("%s: unknown subcommand", line)
			return
		}
		group.SetArgs(append(args, "--help"))
		if err := group.Execute(); err != nil {
			report("%s: %v", line, err)
		}
	default:
		report("unknown command %s", words[0])
	}
}

// checkText checks a line outside of code.
func (c *checker) checkText(name, line string, report func(string, ...any)) {
	for _, m := range inlineMake.FindAllStringSubmatch(line, -1) {
		if !c.targets[m[1]] {
			report("no make target %s", m[1])
		}
	}
	for _, m := range inlineTest.FindAllStringSubmatch(line, -1) {
		if !c.tests[m[1]] {
			report("no test %s", m[1])
		}
	}
	for _, m := range inlineMutant.FindAllStringSubmatch(line, -1) {
		for mutant := range strings.SplitSeq(m[1], ", ") {
			mutant = strings.Trim(mutant, "`")
			c.killed[mutant] = true
			if !c.mutants[mutant] {
				report("no mutant %s", mutant)
			}
		}
	}
	for _, m := range inlineName.FindAllStringSubmatch(line, -1) {
		if names, ok := c.exported[m[1]]; ok && !names[m[2]] {
			report("no identifier %s.%s", m[1], m[2])
		}
	}
	for _, m := range link.FindAllStringSubmatch(line, -1) {
		if strings.HasPrefix(m[1], "https://") {
			continue
		}
		file, heading, hasHeading := strings.Cut(m[1], "#")
		path := filepath.Join(repo, name)
		if file != "" {
			path = filepath.Join(filepath.Dir(path), file)
		}
		if _, err := os.Stat(path); err != nil {
			report("link to %s: no such file", m[1])
		} else if hasHeading && !hasHeadingOf(path, heading) {
			report("link to %s: no such heading", m[1])
		}
	}
}

// hasHeadingOf reports whether a document has a heading of which GitHub makes
// that anchor.
func hasHeadingOf(path, anchor string) bool {
	content, err := os.ReadFile(path)
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(content)) {
		title := strings.TrimLeft(line, "#")
		if title == line {
			continue
		}
		slug := regexp.MustCompile(`[^a-z0-9 -]`).ReplaceAllString(strings.ToLower(strings.TrimSpace(title)), "")
		if strings.ReplaceAll(slug, " ", "-") == anchor {
			return true
		}
	}
	return false
}
