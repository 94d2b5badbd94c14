package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// inProject makes a module of these files and works in it.
func inProject(t *testing.T, files map[string]string) {
	t.Helper()
	t.Chdir(t.TempDir())
	all := map[string]string{
		"go.mod":              "module example.com/shop\n\ngo 1.25\n",
		"ent/schema/order.go": "package schema\n",
	}
	for name, content := range files {
		all[name] = content
	}
	for name, content := range all {
		require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o777))
		require.NoError(t, os.WriteFile(name, []byte(content), 0o666))
	}
}

func find(t *testing.T) *generator {
	t.Helper()
	d, err := findDirs("./ent/schema")
	require.NoError(t, err)
	g, err := findGenerator(d)
	require.NoError(t, err)
	return g
}

func generateFile(line string) string { return "package ent\n\n//go:generate " + line + "\n" }

// generating returns an entc.go that generates a schema with these fields of
// gen.Config, behind declarations.
func generating(schema, config string, declarations ...string) string {
	return strings.Replace(entcWith("\tlog.Fatal(entc.Generate("+schema+", &gen.Config{"+config+"}))\n"),
		"func main", strings.Join(declarations, "\n")+"\n\nfunc main", 1)
}

func TestALineThatRunsEntIsReplacedByOneThatRunsEntc(t *testing.T) {
	for line, want := range map[string]string{
		"go run -mod=mod entgo.io/ent/cmd/ent generate ./schema":                                   `entc.Generate("./schema", &gen.Config{}, entc.Extensions(signalBus))`,
		"go run entgo.io/ent/cmd/entc generate ./schema":                                           `entc.Generate("./schema", &gen.Config{}, entc.Extensions(signalBus))`,
		"go run entgo.io/ent/cmd/ent@v0.14.6 generate ./schema":                                    `entc.Generate("./schema", &gen.Config{}, entc.Extensions(signalBus))`,
		"go run -mod mod entgo.io/ent/cmd/ent generate example.com/shop/ent/schema":                `entc.Generate("./schema", &gen.Config{}, entc.Extensions(signalBus))`,
		"go tool ent generate ./schema":                                                            `entc.Generate("./schema", &gen.Config{}, entc.Extensions(signalBus))`,
		"ent generate ./schema":                                                                    `entc.Generate("./schema", &gen.Config{}, entc.Extensions(signalBus))`,
		"go run entgo.io/ent/cmd/ent generate --feature sql/upsert,privacy ./schema":               "\t\tentc.FeatureNames(\"sql/upsert\", \"privacy\"),\n\t\tentc.Extensions(signalBus),\n",
		"go run entgo.io/ent/cmd/ent generate ./schema --feature=privacy --feature \"entql\"":      `entc.FeatureNames("privacy", "entql"),`,
		"go run entgo.io/ent/cmd/ent generate --template ./tmpl --template glob=x/*.tmpl ./schema": "\t\tentc.TemplateDir(\"./tmpl\"),\n\t\tentc.TemplateGlob(\"x/*.tmpl\"),\n",
		"go run entgo.io/ent/cmd/ent generate --target ../store ./schema":                          `&gen.Config{Target: "../store", Package: "example.com/shop/store"}, entc.Extensions(signalBus))`,
		"go run entgo.io/ent/cmd/ent generate --header \"// Ours.\" --idtype string ./schema":      `&gen.Config{Header: "// Ours.", IDType: &field.TypeInfo{Type: field.TypeString}}, entc`,
	} {
		t.Run(line, func(t *testing.T) {
			inProject(t, map[string]string{"ent/generate.go": generateFile(line)})
			g := find(t)
			entc, err := planEntc(g)
			require.NoError(t, err)
			require.Equal(t, toCreate, entc.do)
			require.Equal(t, filepath.Join("ent", "entc.go"), entc.path)
			require.Contains(t, string(entc.content), want)
			generate, err := planGenerate(g)
			require.NoError(t, err)
			require.Equal(t, toChange, generate.do)
			require.Equal(t, generateFile("go run -mod=mod entc.go"), string(generate.content))
		})
	}
}

func TestALineKeepsItsEnd(t *testing.T) {
	inProject(t, map[string]string{"ent/generate.go": "package ent\r\n\r\n//go:generate ent generate ./schema\r\n"})
	generate, err := planGenerate(find(t))
	require.NoError(t, err)
	require.Equal(t, "package ent\r\n\r\n"+generateLine+"\r\n", string(generate.content))
}

func TestALineInAnotherFolderKeepsItsPlace(t *testing.T) {
	inProject(t, map[string]string{"generate.go": generateFile("go run entgo.io/ent/cmd/ent generate --target ./store ./ent/schema")})
	g := find(t)
	entc, err := planEntc(g)
	require.NoError(t, err)
	require.Equal(t, filepath.Join("ent", "entc.go"), entc.path)
	require.Contains(t, string(entc.content), `entc.Generate("./ent/schema", &gen.Config{Target: "./store", Package: "example.com/shop/store"}, `)
	generate, err := planGenerate(g)
	require.NoError(t, err)
	require.Equal(t, "generate.go", generate.path)
	require.Equal(t, generateFile("go run -mod=mod ./ent/entc.go"), string(generate.content))
	require.Equal(t, ".", g.run)
}

func TestWhatALineCantGiveToEntcIsToldByHand(t *testing.T) {
	const run = "go run entgo.io/ent/cmd/ent generate "
	for name, c := range map[string]struct{ line, entc, why string }{
		"another storage":       {run + "--storage gremlin ./schema", "", "--storage gremlin; signals need sql"},
		"an unknown flag":       {run + "--fancy ./schema", "", "unknown flag: --fancy"},
		"an unknown template":   {run + "--template url=x ./schema", "", "--template url=x"},
		"an entc.go of its own": {run + "--feature privacy ./schema", generating(`"./schema"`, ""), "line 3 runs ent with flags"},
	} {
		t.Run(name, func(t *testing.T) {
			files := map[string]string{"ent/generate.go": generateFile(c.line)}
			if c.entc != "" {
				files["ent/entc.go"] = c.entc
			}
			inProject(t, files)
			generate, err := planGenerate(find(t))
			require.NoError(t, err)
			require.Equal(t, byHand, generate.do)
			require.Contains(t, generate.note, c.why)
			require.Contains(t, generate.lines, generateLine)
			if c.entc != "" {
				require.Contains(t, generate.lines, `entc.FeatureNames("privacy"), // an option`)
			}
		})
	}
}

func TestLinesThatDontConcernTheSchemaAreLeftAlone(t *testing.T) {
	for _, line := range []string{
		"go run entgo.io/ent/cmd/ent generate ./other",
		"go run entgo.io/ent/cmd/ent describe ./schema",
		"stringer -type Kind",
		"go run ./other.go",
		"go run example.com/tool",
		"",
	} {
		t.Run(line, func(t *testing.T) {
			inProject(t, map[string]string{"ent/generate.go": generateFile(line), "ent/other.go": generating(`"./other"`, "")})
			generate, err := planGenerate(find(t))
			require.NoError(t, err)
			require.Equal(t, byHand, generate.do)
			require.Equal(t, "no line in it runs ent; add", generate.note)
		})
	}
}

func TestEntcIsFoundWhereItIsRunFrom(t *testing.T) {
	const here = `"./ent/schema"`
	for name, c := range map[string]struct {
		file, line, program, entc, run string
	}{
		"beside the schema":           {"ent/generate.go", "go run -mod=mod entc.go", "ent/entc.go", generating(`"./schema"`, ""), "ent"},
		"from the root":               {"generate.go", "go run ./ent/entc.go", "ent/entc.go", generating(here, ""), "."},
		"a tool":                      {"generate.go", "go run -mod=mod internal/tools/entc.go", "internal/tools/entc.go", generating(here, ""), "."},
		"a tool, from the schema":     {"ent/generate.go", "go run -mod=mod ../tools/entc.go", "tools/entc.go", generating(`"./schema"`, ""), "ent"},
		"a package":                   {"ent/generate.go", "go run -tags tools ../tools", "tools/main.go", generating(`"./schema"`, ""), "ent"},
		"a package by its path":       {"db.go", "go run example.com/shop/tools", "tools/main.go", generating(here, ""), "."},
		"a schema by its import path": {"generate.go", "go run tools/entc.go", "tools/entc.go", generating(`"example.com/shop/ent/schema"`, ""), "."},
		"a schema by a constant":      {"generate.go", "go run tools/entc.go", "tools/entc.go", generating("dir + sub", "", `const dir = "./ent"`, `const sub = "/schema"`), "."},
		"a schema by Join":            {"tools/generate.go", "go run entc.go", "tools/entc.go", generating(`filepath.Join("..", "ent", "schema")`, ""), "tools"},
	} {
		t.Run(name, func(t *testing.T) {
			inProject(t, map[string]string{c.file: generateFile(c.line), c.program: c.entc})
			g := find(t)
			require.Equal(t, filepath.FromSlash(c.program), g.entc)
			require.Equal(t, c.run, g.run)
			entc, err := planEntc(g)
			require.NoError(t, err)
			require.Equal(t, toChange, entc.do)
			generate, err := planGenerate(g)
			require.NoError(t, err)
			require.Equal(t, toKeep, generate.do)
			require.Equal(t, filepath.FromSlash(c.file), generate.path)
		})
	}
}

func TestEntcThatNoLineRunsIsChangedInItsPlace(t *testing.T) {
	inProject(t, map[string]string{"tools/entc.go": generating(`"./ent/schema"`, "")})
	g := find(t)
	require.Equal(t, filepath.Join("tools", "entc.go"), g.entc)
	require.Empty(t, g.run)
	generate, err := planGenerate(g)
	require.NoError(t, err)
	require.Equal(t, step{path: g.entc, do: toKeep, note: "no go:generate line runs it"}, generate)
}

func TestALineThatGeneratesTheSchemaAgainIsToBeRemoved(t *testing.T) {
	inProject(t, map[string]string{
		"generate.go":     generateFile("go run ./ent/entc.go"),
		"ent/entc.go":     generating(`"./ent/schema"`, ""),
		"ent/generate.go": generateFile("go run entgo.io/ent/cmd/ent generate ./schema"),
	})
	steps := planTwice(find(t))
	require.Len(t, steps, 1)
	require.Equal(t, byHand, steps[0].do)
	require.Equal(t, filepath.Join("ent", "generate.go"), steps[0].path)
	require.Contains(t, steps[0].note, "line 3 generates the same schema")
}

func TestAProgramWhoseSchemaIsntToldIsLeftToTheUser(t *testing.T) {
	inProject(t, map[string]string{
		"generate.go":   generateFile("go run tools/entc.go ./ent/schema"),
		"tools/entc.go": generating("os.Args[1]", ""),
	})
	g := find(t)
	entc, err := planEntc(g)
	require.NoError(t, err)
	require.Equal(t, byHand, entc.do)
	require.Equal(t, filepath.Join("tools", "entc.go"), entc.path)
}

func TestOtherModulesAndWhatIsNotBuiltAreLeftAlone(t *testing.T) {
	entc := generating(`"../ent/schema"`, "")
	inProject(t, map[string]string{
		"nested/go.mod":      "module example.com/nested\n",
		"nested/entc.go":     entc,
		"nested/generate.go": generateFile("go run entc.go"),
		"vendor/generate.go": generateFile("go run entgo.io/ent/cmd/ent generate ../ent/schema"),
		".old/generate.go":   generateFile("go run entgo.io/ent/cmd/ent generate ../ent/schema"),
	})
	g := find(t)
	require.Nil(t, g.line)
	require.Equal(t, filepath.Join("ent", "entc.go"), g.entc)
}

func TestTheGeneratedPackageIsThatOfTheConfig(t *testing.T) {
	for name, c := range map[string]struct {
		config, pkg  string
		declarations []string
	}{
		"neither":              {"", "example.com/shop/ent", nil},
		"other fields":         {"Features: gen.AllFeatures", "example.com/shop/ent", nil},
		"a target":             {`Target: "../store"`, "example.com/shop/store", nil},
		"a target and package": {`Target: "../store", Package: "example.com/shop/store"`, "example.com/shop/store", nil},
		"a package":            {`Package: "example.com/shop/db"`, "example.com/shop/db", nil},
		"constants":            {`Target: target, Package: module + "/store"`, "example.com/shop/store", []string{`const target = "../store"`, `const module = "example.com/shop"`}},
		"computed":             {`Target: os.Getenv("TARGET")`, "", nil},
		"set later":            {"", "", []string{`func set(c *gen.Config) { c.Target, c.Package = os.Getenv("T"), "x" }`}},
		"two configurations":   {"", "", []string{`var other = gen.Config{Target: "x"}`}},
	} {
		t.Run(name, func(t *testing.T) {
			inProject(t, map[string]string{
				"ent/generate.go": generateFile("go run entc.go"),
				"ent/entc.go":     generating(`"./schema"`, c.config, c.declarations...),
			})
			steps, err := program{database: "postgres"}.plan(find(t))
			require.NoError(t, err)
			if c.pkg == "" {
				require.Len(t, steps, 1)
				require.Equal(t, byHand, steps[0].do)
				require.Contains(t, steps[0].lines, "entsignal init --package PATH")
				return
			}
			require.Len(t, steps, 2)
			require.Contains(t, string(steps[0].content), `"`+c.pkg+`"`)
			require.Contains(t, string(steps[0].content), `_ "`+c.pkg+`/runtime"`)
			require.Contains(t, string(steps[0].content), `"example.com/shop/internal/senders"`)
			require.Contains(t, string(steps[1].content), `"`+c.pkg+`"`)
		})
	}
}
