package codegen_test

import (
	"bytes"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"text/template"

	"entgo.io/ent/entc"
	"entgo.io/ent/entc/gen"
	"entgo.io/ent/entc/load"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal/codegen"
	"github.com/entsignal/signalbus/internal/annotation"
)

func TestMisuseFailsTheGenerationAndWritesNothing(t *testing.T) {
	t.Parallel()
	folders := cases(t, "testdata/bad")
	schemas := loadAll(t, slices.Collect(maps.Keys(folders)))
	for name, folder := range folders {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			target := t.TempDir()
			err := generateFrom(t, schemas[name], target)
			require.Error(t, err)
			golden(t, filepath.Join(folder, "error.txt"), err.Error()+"\n")
			files, err := os.ReadDir(target)
			require.NoError(t, err)
			assert.Empty(t, files)
		})
	}
}

// generateFrom generates a package as entc does once it has loaded the schema.
func generateFrom(t *testing.T, schemas []*load.Schema, target string) error {
	t.Helper()
	ex, err := codegen.NewExtension()
	require.NoError(t, err)
	cfg := &gen.Config{Target: target, Schema: "example.com/project/ent/schema", Package: "example.com/project/ent"}
	for _, opt := range []entc.Option{entc.Storage("sql"), entc.Extensions(ex)} {
		require.NoError(t, opt(cfg))
	}
	graph, err := gen.NewGraph(cfg, schemas...)
	if err != nil {
		return err
	}
	return graph.Gen()
}

// loader prints the schemas of all cases. It is the program that entc writes
// for one package, for many: a run of it takes seconds.
var loader = template.Must(template.New("loader").Parse(`package main

import (
	"encoding/json"
	"os"

	"entgo.io/ent"
	"entgo.io/ent/entc/load"
{{ range $name, $types := . }}
	{{ $name }} "github.com/entsignal/signalbus/entsignal/codegen/testdata/bad/{{ $name }}/schema"
{{- end }}
)

func main() {
	all := make(map[string][]json.RawMessage)
	for name, schemas := range map[string][]ent.Interface{
{{- range $name, $types := . }}
		"{{ $name }}": { {{ range $types }}{{ $name }}.{{ . }}{}, {{ end }} },
{{- end }}
	} {
		for _, s := range schemas {
			data, err := load.MarshalSchema(s)
			if err != nil {
				panic(err)
			}
			all[name] = append(all[name], data)
		}
	}
	if err := json.NewEncoder(os.Stdout).Encode(all); err != nil {
		panic(err)
	}
}
`))

// loadAll returns the schemas of the cases of these names.
func loadAll(t *testing.T, names []string) map[string][]*load.Schema {
	t.Helper()
	types := make(map[string][]string)
	for _, name := range names {
		types[name] = exportedTypes(t, filepath.Join("testdata", "bad", name, "schema", "schema.go"))
	}
	var program bytes.Buffer
	require.NoError(t, loader.Execute(&program, types))
	file := filepath.Join(t.TempDir(), "main.go")
	require.NoError(t, os.WriteFile(file, program.Bytes(), 0o600))

	var stdout, stderr bytes.Buffer
	cmd := exec.Command("go", "run", file)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	require.NoError(t, cmd.Run(), "%s", &stderr)
	var raw map[string][]json.RawMessage
	require.NoError(t, json.Unmarshal(stdout.Bytes(), &raw))
	schemas := make(map[string][]*load.Schema)
	for name, all := range raw {
		for _, data := range all {
			s, err := load.UnmarshalSchema(data)
			require.NoError(t, err)
			schemas[name] = append(schemas[name], s)
		}
	}
	return schemas
}

// exportedTypes returns the exported types of a file, sorted as entc does.
func exportedTypes(t *testing.T, file string) (names []string) {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	require.NoError(t, err)
	ast.Inspect(parsed, func(n ast.Node) bool {
		if spec, ok := n.(*ast.TypeSpec); ok && spec.Name.IsExported() {
			names = append(names, spec.Name.Name)
		}
		return true
	})
	require.NotEmpty(t, names, file)
	slices.Sort(names)
	return names
}

func TestOnlySQLStorageIsSupported(t *testing.T) {
	t.Parallel()
	ex, err := codegen.NewExtension()
	require.NoError(t, err)
	storage, err := gen.NewStorage("gremlin")
	require.NoError(t, err)
	generate := ex.Hooks()[0](gen.GenerateFunc(func(*gen.Graph) error {
		t.Error("generates")
		return nil
	}))
	err = generate.Generate(&gen.Graph{Config: &gen.Config{Storage: storage, Target: t.TempDir()}})
	assert.EqualError(t, err, "entsignal: storage gremlin is not supported; expected sql")
}

func TestUnknownFieldOfAnAnnotationNamesTheSchema(t *testing.T) {
	t.Parallel()
	ex, err := codegen.NewExtension()
	require.NoError(t, err)
	graph, err := gen.NewGraph(&gen.Config{Target: t.TempDir()}, &load.Schema{
		Name:        "OrderPlaced",
		Annotations: map[string]any{annotation.Name: map[string]any{"signal": true, "newer": 1}},
	})
	require.NoError(t, err)
	err = ex.Hooks()[0](nil).Generate(graph)
	assert.EqualError(t, err, `entsignal: schema OrderPlaced: entsignal: annotation EntSignal: json: unknown field "newer"`)
}
