package tool

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// These tests do what a reader of the README and of the tutorial does: they type
// the commands and write the files, and nothing else. Only the library is that of
// this repository, by a replace directive, because no proxy has it.

const (
	readme       = "README.md"
	tutorialPage = "docs/tutorial.md"
)

// A block that is typed by no test isn't compared with a snippet either.
func TestEveryBlockThatIsMarkedIsTyped(t *testing.T) {
	t.Parallel()
	for page, want := range map[string][]string{
		readme:       {"run: new project", "run: install"},
		tutorialPage: {"run: tutorial", "file: ent/schema/orderplaced.go", "file: internal/senders/senders.go", "file: main.go"},
	} {
		var found []string
		for _, b := range newReader(t, page).blocks {
			if !strings.HasPrefix(b.marker, "snippet: ") && !slices.Contains(found, b.marker) {
				found = append(found, b.marker)
			}
		}
		assert.ElementsMatch(t, want, found, page)
	}
}

func TestTutorial(t *testing.T) {
	t.Parallel()
	r := newReader(t, tutorialPage)
	r.follow("tutorial")
	// All of the project compiles, and is as init and its reader left it.
	r.run("go vet ./...")
	r.run("go run -mod=mod " + module + "/cmd/entsignal init")
	assert.Equal(t, "nothing to do: the project has a signal bus\n", r.output())
}

func TestInstallOfTheReadmeInAnEmptyFolder(t *testing.T) {
	t.Parallel()
	r := newReader(t, readme)
	r.follow("new project")
	r.follow("install")
	assert.Contains(t, r.file("ent/entc.go"), newReader(t, tutorialPage).block("snippet: entc"))
	r.run("go build ./... && go run ./cmd/signalbus pending")
	assert.Equal(t, "SIGNAL  PENDING\ntotal   0\n", r.output())
}

// The flags of the line that ran ent's own command go into entc.go.
func TestInstallOfTheReadmeInAProjectWithFlags(t *testing.T) {
	t.Parallel()
	r := newReader(t, readme)
	r.project("go mod init example.com/shop && go get entgo.io/ent/cmd/ent@v0.14.6", map[string]string{
		"ent/generate.go": "package ent\n\n//go:generate go run -mod=mod entgo.io/ent/cmd/ent generate --feature sql/upsert,privacy --target ../store ./schema\n",
		"shop.go":         "package main\n\nimport _ \"example.com/shop/store\"\n\nfunc main() {}\n",
	})
	r.follow("install")
	assert.Contains(t, r.file("store/order_create.go"), "OnConflict")
	assert.Contains(t, r.file("store/signal_bus.go"), "NewSignalBus")
	assert.DirExists(t, r.dir+"/store/privacy")
	assert.NoFileExists(t, r.dir+"/ent/client.go")
	r.run("go build ./... && ! go run ./cmd/signalbus signals 2>&1")
	assert.Contains(t, r.output(), "no sender for OrderPlaced; set it in SignalSenders")
}

// entc.go is somewhere else, has another extension, and writes into a folder of
// its own.
func TestInstallOfTheReadmeInAProjectWithItsOwnEntc(t *testing.T) {
	t.Parallel()
	r := newReader(t, readme)
	// With the versions of integration/graphql, which is compiled already.
	versions, err := filepath.Abs("..")
	require.NoError(t, err)
	r.project("cp "+versions+"/go.mod "+versions+"/go.sum . && go mod edit -module=example.com/shop -dropreplace="+module+" -droprequire="+module+" -dropreplace="+module+"/otelsignal -droprequire="+module+"/otelsignal", map[string]string{
		"ent/generate.go": "package ent\n\n//go:generate go run -mod=mod ../internal/tools/entc.go\n",
		"tools.go":        "//go:build tools\n\npackage shop\n\nimport (\n\t_ \"entgo.io/contrib/entgql\"\n\t_ \"entgo.io/ent/entc\"\n)\n",
		"internal/tools/entc.go": `//go:build ignore

package main

import (
	"log"

	"entgo.io/contrib/entgql"
	"entgo.io/ent/entc"
	"entgo.io/ent/entc/gen"
)

const pkg = "example.com/shop/internal"

func main() {
	graphQL, err := entgql.NewExtension(entgql.WithSchemaGenerator(), entgql.WithSchemaPath("../api.graphql"), entgql.WithTemplates())
	if err != nil {
		log.Fatal(err)
	}
	config := &gen.Config{Target: "../internal/db", Package: pkg + "/db"}
	opts := []entc.Option{entc.Extensions(graphQL), entc.FeatureNames("sql/upsert", "privacy")}
	if err := entc.Generate("./schema", config, opts...); err != nil {
		log.Fatal(err)
	}
}
`,
	})
	r.follow("install")
	assert.Contains(t, r.file("internal/db/order_create.go"), "OnConflict")
	assert.Contains(t, r.file("internal/db/signal_bus.go"), "NewSignalBus")
	assert.Contains(t, r.file("api.graphql"), "type Order ")
	assert.NotContains(t, r.file("api.graphql"), "OrderPlaced")
	assert.NoFileExists(t, r.dir+"/ent/entc.go")
	r.run("go build ./... && ! go run ./cmd/signalbus signals 2>&1")
	assert.Contains(t, r.output(), "no sender for OrderPlaced; set it in SignalSenders")
}

// orderPlaced is the schema of a signal.
const orderPlaced = `package schema

import (
	"entgo.io/ent"

	"github.com/entsignal/signalbus/mixin"
)

type OrderPlaced struct{ ent.Schema }

func (OrderPlaced) Mixin() []ent.Mixin { return []ent.Mixin{mixin.Signal{}} }
`

// reader follows a page in a folder.
type reader struct {
	t      *testing.T
	page   string
	dir    string
	out    string // the folder of what commands print
	blocks []block
}

// block is a piece of code of the page.
type block struct {
	marker string // run: NAME, file: PATH, snippet: NAME
	lines  []string
}

func newReader(t *testing.T, page string) *reader {
	t.Helper()
	content, err := os.ReadFile("../../" + page)
	require.NoError(t, err)
	r := &reader{t: t, page: page, dir: t.TempDir(), out: t.TempDir()}
	for _, m := range regexp.MustCompile("(?ms)^<!-- ([^\n]+) -->\n```\\w+\n(.*?)\n```$").FindAllStringSubmatch(string(content), -1) {
		r.blocks = append(r.blocks, block{m[1], strings.Split(m[2], "\n")})
	}
	return r
}

// project makes an ent project with an entity, whose code is generated, and adds
// a signal. makeModule has the commands that make its go.mod.
func (r *reader) project(makeModule string, files map[string]string) {
	r.t.Helper()
	files["ent/schema/order.go"] = "package schema\n\nimport \"entgo.io/ent\"\n\ntype Order struct{ ent.Schema }\n"
	for name, content := range files {
		path := filepath.Join(r.dir, name)
		require.NoError(r.t, os.MkdirAll(filepath.Dir(path), 0o777))
		require.NoError(r.t, os.WriteFile(path, []byte(content), 0o666))
	}
	r.run(makeModule + " && go generate ./ent && go mod tidy")
	require.NoError(r.t, os.WriteFile(filepath.Join(r.dir, "ent/schema/orderplaced.go"), []byte(orderPlaced), 0o666))
	r.run("go mod edit -replace=" + r.replace())
}

func (r *reader) replace() string {
	root, err := filepath.Abs("../..")
	require.NoError(r.t, err)
	return module + "=" + root
}

// follow types the commands under a name, in one shell, and compares what they
// print with what the page shows. Between them it writes the files.
func (r *reader) follow(name string) {
	r.t.Helper()
	var script strings.Builder
	printed := make(map[string]string) // by file
	found := false
	for _, b := range r.blocks {
		switch kind, what, _ := strings.Cut(b.marker, ": "); {
		case kind == "run" && what == name:
			found = true
			r.commands(&script, b, printed)
		case kind == "file":
			fmt.Fprintf(&script, "cat >%s <<'end of file'\n%s\nend of file\n", what, strings.Join(b.lines, "\n"))
		}
	}
	require.True(r.t, found, "%s has no commands %q", r.page, name)
	r.run(script.String())
	for file, want := range printed {
		got, err := os.ReadFile(file)
		require.NoError(r.t, err)
		assert.Equal(r.t, want, string(got))
	}
}

// commands adds the commands of a block to a script. What one prints goes to a
// file if the block shows it.
func (r *reader) commands(script *strings.Builder, b block, printed map[string]string) {
	for i := 0; i < len(b.lines); i++ {
		command, prompted := strings.CutPrefix(b.lines[i], "$ ")
		want := ""
		for prompted && i+1 < len(b.lines) && !strings.HasPrefix(b.lines[i+1], "$ ") {
			i++
			want += b.lines[i] + "\n"
		}
		if want != "" {
			file := fmt.Sprintf("%s/%d", r.out, len(printed))
			printed[file] = want
			command += " >" + file
		}
		fmt.Fprintln(script, command)
		if strings.HasPrefix(command, "go mod init ") {
			fmt.Fprintln(script, "go mod edit -replace="+r.replace())
		}
	}
}

// run runs a script in the folder.
func (r *reader) run(script string) {
	r.t.Helper()
	cmd := exec.Command("bash", "-e", "-o", "pipefail", "-c", script)
	cmd.Dir = r.dir
	// No proxy is asked for the library: one that doesn't know it may answer
	// with more than "not found".
	cmd.Env = append(os.Environ(), "PWD="+r.dir, "GOWORK=off", "GONOPROXY="+module, "GOVCS=*:off",
		"DATABASE_URL=postgres://nobody@localhost/nothing")
	stdout, err := os.Create(r.out + "/stdout")
	require.NoError(r.t, err)
	defer stdout.Close()
	var stderr strings.Builder
	cmd.Stdout, cmd.Stderr = stdout, &stderr
	err = cmd.Run()
	require.NoError(r.t, err, "%s\n%s%s", script, r.output(), stderr.String())
}

// output returns what the last script printed.
func (r *reader) output() string {
	content, err := os.ReadFile(r.out + "/stdout")
	require.NoError(r.t, err)
	return string(content)
}

func (r *reader) file(name string) string {
	r.t.Helper()
	content, err := os.ReadFile(filepath.Join(r.dir, name))
	require.NoError(r.t, err)
	return string(content)
}

// block returns the text of the block with that marker.
func (r *reader) block(marker string) string {
	for _, b := range r.blocks {
		if b.marker == marker {
			return strings.Join(b.lines, "\n")
		}
	}
	r.t.Fatalf("%s has no %q", r.page, marker)
	return ""
}
