package docs

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	repo     = "../.."
	examples = "examples/" // their commands are those of an example or of a system
)

// documents are the files that are checked, relative to the repository.
func documents(t *testing.T) []string {
	t.Helper()
	names := []string{"README.md", "GUARANTEES.md", "CONTRIBUTING.md", "CHANGELOG.md"}
	for _, pattern := range []string{"docs/*.md", examples + "*/README.md"} {
		more, err := filepath.Glob(filepath.Join(repo, pattern))
		require.NoError(t, err)
		require.NotEmpty(t, more, pattern)
		for _, path := range more {
			name, err := filepath.Rel(repo, path)
			require.NoError(t, err)
			names = append(names, filepath.ToSlash(name))
		}
	}
	return names
}

func TestDocumentsTellTheTruth(t *testing.T) {
	c := newChecker(t)
	for _, name := range documents(t) {
		content, err := os.ReadFile(filepath.Join(repo, name))
		require.NoError(t, err)
		for _, problem := range c.problems(name, string(content)) {
			t.Errorf("%s: %s", name, problem)
		}
	}
	for name := range c.snippets {
		assert.True(t, c.used[name], "snippet %s is in no document", name)
	}
	for name := range c.mutants {
		assert.True(t, c.killed[name], "mutant %s: GUARANTEES.md doesn't tell which promise it breaks", name)
	}
}

// Each paragraph of GUARANTEES.md that begins in bold, up to what is no promise
// any more, is one.
func TestEachPromiseNamesItsTests(t *testing.T) {
	content, err := os.ReadFile(filepath.Join(repo, "GUARANTEES.md"))
	require.NoError(t, err)
	promises, _, found := strings.Cut(string(content), "\n## How a consumer drops repeats")
	require.True(t, found)
	n := 0
	for paragraph := range strings.SplitSeq(promises, "\n\n") {
		if strings.HasPrefix(paragraph, "**") {
			n++
			assert.Regexp(t, inlineTest, paragraph)
		}
	}
	assert.Greater(t, n, 10)
}

// A page that the index leaves out is found by nobody.
func TestIndexHasEachPageAndAnswersEachQuestion(t *testing.T) {
	content, err := os.ReadFile(filepath.Join(repo, "docs/README.md"))
	require.NoError(t, err)
	pages, questions, found := strings.Cut(string(content), "\n## Questions that people ask")
	require.True(t, found)
	for _, name := range documents(t) {
		if page, ok := strings.CutPrefix(name, "docs/"); ok && page != "README.md" {
			assert.Contains(t, pages, "]("+page+")")
		}
	}
	n := 0
	for line := range strings.Lines(questions) {
		if strings.HasPrefix(line, "| ") && strings.Contains(line, "? |") {
			n++
			assert.Regexp(t, link, line)
		}
	}
	assert.Greater(t, n, 20)
}

// A checker that finds nothing proves nothing.
func TestCheckerFindsWhatIsWrong(t *testing.T) {
	c := newChecker(t)
	for content, want := range map[string]string{
		"```go\npanic(1)\n```":                           "line 1: Go code without the name of its snippet",
		"<!-- snippet: nosuch -->\n```go\n```":           "line 2: unknown snippet nosuch",
		"<!-- snippet: shutdown -->\n```go\nreturn\n```": "line 2: the code differs from snippet shutdown",
		"```\nx\n```":                                     "line 1: code of the unknown language \"\"",
		"```sh\nmake coffee\n```":                         "line 2: no make target coffee",
		"```sh\nrm -r x\n```":                             "line 2: unknown command rm",
		"```sh\nintegration/services dance\n```":          "line 2: integration/services has no command dance",
		"```console\n$ signalbus fly\n```":                "line 2: signalbus fly: unknown subcommand",
		"```console\n$ signalbus flush --loud\n```":       "line 2: signalbus flush --loud: unknown flag: --loud",
		"```sh\ncd nowhere\n```":                          "line 2: no directory nowhere",
		"```text\nnever closed":                           "line 1: code without an end",
		"then `make tea`":                                 "line 1: no make target tea",
		"held by `TestOfNothing`":                         "line 1: no test TestOfNothing",
		"`TestFirstScreenDelivers`; mutant: `immortal`":   "line 1: no mutant immortal",
		"call `entsignal.Undo(x)`":                        "line 1: no identifier entsignal.Undo",
		"see [that](docs/none.md)":                        "line 1: link to docs/none.md: no such file",
		"see [that](GUARANTEES.md#nothing-of-that-title)": "line 1: link to GUARANTEES.md#nothing-of-that-title: no such heading",
	} {
		t.Run(want, func(t *testing.T) {
			problems := c.problems("README.md", content)
			require.Len(t, problems, 1)
			assert.Contains(t, problems[0], want)
		})
	}
}

var (
	fence        = regexp.MustCompile("^```(.*)$")
	marker       = regexp.MustCompile(`^<!-- snippet: (\w+) -->$`)
	typedMarker  = regexp.MustCompile(`^<!-- (run|file): .+ -->$`)
	inlineMake   = regexp.MustCompile("`make ([a-z-]+)[` ]")
	inlineTest   = regexp.MustCompile("`((?:Test|Fuzz)[A-Z]\\w*)`")
	inlineMutant = regexp.MustCompile("mutants?: ((?:`\\w+`(?:, )?)+)")
	inlineName   = regexp.MustCompile("`(?:\\*|\\[\\]|&)?(\\w+)\\.([A-Z]\\w*)")
	link         = regexp.MustCompile(`\]\(([^)\s]+)\)`)
)

// snippets returns the snippets of this package's files. A name that is used
// again continues its snippet.
func snippets(t *testing.T) map[string]string {
	t.Helper()
	lines := make(map[string][]string)
	collect := func(path, content string) {
		name := ""
		for line := range strings.Lines(content) {
			line = strings.TrimRight(line, "\n")
			if begun, ok := strings.CutPrefix(strings.TrimSpace(line), "// snippet: "); ok {
				assert.Empty(t, name, "%s: snippet %s begins within another", path, begun)
				name = begun
			} else if strings.TrimSpace(line) == "// end snippet" {
				assert.NotEmpty(t, name, "%s: a snippet ends that didn't begin", path)
				name = ""
			} else if name != "" {
				lines[name] = append(lines[name], line)
			}
		}
		assert.Empty(t, name, "%s: the snippet has no end", path)
	}
	walk(t, ".", ".go", collect)
	all := make(map[string]string)
	for name, lines := range lines {
		all[name] = dedent(lines)
	}
	return all
}

// dedent removes the indent that all lines share, and empty lines around.
func dedent(lines []string) string {
	shared := -1
	for _, line := range lines {
		if indent := len(line) - len(strings.TrimLeft(line, "\t")); line != "" && (shared < 0 || indent < shared) {
			shared = indent
		}
	}
	for i, line := range lines {
		if line != "" {
			lines[i] = line[shared:]
		}
	}
	return strings.Trim(strings.Join(lines, "\n"), "\n")
}

// allTests returns the names of the tests of the repository.
func allTests(t *testing.T) map[string]bool {
	t.Helper()
	function := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)[A-Z]\w*)\(\w+ \*testing\.`)
	names := make(map[string]bool)
	walk(t, repo, "_test.go", func(_, content string) {
		for _, m := range function.FindAllStringSubmatch(content, -1) {
			names[m[1]] = true
		}
	})
	require.NotEmpty(t, names)
	return names
}

// allMutants returns the names of the library's mutants: patches that break a
// promise, so that a test of that promise has to fail. There may be none.
func allMutants(t *testing.T) map[string]bool {
	t.Helper()
	patches, err := filepath.Glob(filepath.Join(repo, "integration/mutants/*.patch"))
	require.NoError(t, err)
	names := make(map[string]bool)
	for _, patch := range patches {
		names[strings.TrimSuffix(filepath.Base(patch), ".patch")] = true
	}
	return names
}

// matches returns the first group of all matches in a file.
func matches(t *testing.T, name, pattern string) map[string]bool {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(repo, name))
	require.NoError(t, err)
	found := make(map[string]bool)
	for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(string(content), -1) {
		found[m[1]] = true
	}
	require.NotEmpty(t, found)
	return found
}

// exported returns the exported identifiers of a package, except methods.
func exported(t *testing.T, dir string) map[string]bool {
	t.Helper()
	names := make(map[string]bool)
	files, err := filepath.Glob(filepath.Join(repo, dir, "*.go"))
	require.NoError(t, err)
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		for _, decl := range parsed.Decls {
			switch d := decl.(type) {
			case *ast.FuncDecl:
				if d.Recv == nil {
					names[d.Name.Name] = d.Name.IsExported()
				}
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					switch s := spec.(type) {
					case *ast.TypeSpec:
						names[s.Name.Name] = s.Name.IsExported()
					case *ast.ValueSpec:
						for _, n := range s.Names {
							names[n.Name] = n.IsExported()
						}
					}
				}
			}
		}
	}
	require.NotEmpty(t, names, dir)
	return names
}

// walk calls visit for the files below dir whose names end with suffix, except
// in folders that begin with a dot.
func walk(t *testing.T, dir, suffix string, visit func(path, content string)) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && len(d.Name()) > 2 && d.Name()[0] == '.':
			return filepath.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, suffix):
			return nil
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		visit(path, string(content))
		return nil
	}))
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}
