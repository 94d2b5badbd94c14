package codegen_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"entgo.io/ent/entc"
	"entgo.io/ent/entc/gen"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal/codegen"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// generateFeatures makes the test binary do what a project's entc.go does,
// with the features that it lists.
const generateFeatures = "ENTSIGNAL_TEST_GENERATE"

// generateTemplates is the folder with the project's own templates, if it has any.
const generateTemplates = "ENTSIGNAL_TEST_TEMPLATES"

// TestMain also serves as entc.go: entc keeps a file in the current directory
// while it loads a schema, so each generation needs a process of its own.
func TestMain(m *testing.M) {
	if features, ok := os.LookupEnv(generateFeatures); ok {
		if err := generate(strings.Fields(features)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func generate(features []string) error {
	ex, err := codegen.NewExtension()
	if err != nil {
		return err
	}
	options := []entc.Option{entc.FeatureNames(features...), entc.Extensions(ex)}
	if dir := os.Getenv(generateTemplates); dir != "" {
		options = append(options, entc.TemplateDir(dir))
	}
	return entc.Generate("./schema", &gen.Config{}, options...)
}

// project is a module with an ent project in it.
type project struct{ dir string }

// newProject returns a project with the schema of a case. Its module requires
// what this one does, in the same versions.
func newProject(t *testing.T, folder string) project {
	t.Helper()
	root, err := filepath.Abs("../..")
	require.NoError(t, err)
	mod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	require.NoError(t, err)
	const library = "github.com/entsignal/signalbus"
	mod = bytes.Replace(mod, []byte("module "+library+"\n"), []byte("module example.com/project\n"), 1)
	mod = fmt.Appendf(mod, "\nrequire %s v0.0.0\n\nreplace %[1]s => %s\n", library, root)
	sum, err := os.ReadFile(filepath.Join(root, "go.sum"))
	require.NoError(t, err)

	p := project{dir: t.TempDir()}
	require.NoError(t, os.WriteFile(filepath.Join(p.dir, "go.mod"), mod, 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(p.dir, "go.sum"), sum, 0o600))
	require.NoError(t, os.Mkdir(p.ent(), 0o700))
	p.setSchema(t, folder)
	return p
}

func (p project) ent() string { return filepath.Join(p.dir, "ent") }

// setSchema replaces the schema by that of a case.
func (p project) setSchema(t *testing.T, folder string) {
	t.Helper()
	require.NoError(t, os.RemoveAll(filepath.Join(p.ent(), "schema")))
	require.NoError(t, os.CopyFS(filepath.Join(p.ent(), "schema"), os.DirFS(filepath.Join(folder, "schema"))))
}

// generate runs the code generator and returns its error.
func (p project) generate(t *testing.T, features ...string) error {
	t.Helper()
	return p.generateWith(t, "", features...)
}

// generateWith does so with templates of the project's own.
func (p project) generateWith(t *testing.T, templates string, features ...string) error {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	if templates != "" {
		templates, err = filepath.Abs(templates)
		require.NoError(t, err)
	}
	cmd := exec.Command(self)
	cmd.Dir = p.ent()
	cmd.Env = append(environ(), generateFeatures+"="+strings.Join(features, " "), generateTemplates+"="+templates)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Run(); err != nil {
		var exit *exec.ExitError
		require.ErrorAs(t, err, &exit)
		return errors.New(strings.TrimSpace(stderr.String()))
	}
	return nil
}

// vet vets the generated package, which has to compile for that. Those that
// import it are the work of ent alone.
func (p project) vet(t *testing.T) {
	t.Helper()
	cmd := exec.Command("go", "vet", "./ent")
	cmd.Dir = p.dir
	cmd.Env = environ()
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
}

// files returns the text of all files of the package by their path.
func (p project) files(t *testing.T) map[string]string {
	t.Helper()
	files := make(map[string]string)
	require.NoError(t, filepath.WalkDir(p.ent(), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		rel, _ := filepath.Rel(p.ent(), path)
		files[rel] = string(text)
		return err
	}))
	return files
}

// differing returns the names of the files that are not the same in both.
func differing(a, b map[string]string) (names []string) {
	for name := range a {
		if text, ok := b[name]; !ok || text != a[name] {
			names = append(names, name)
		}
	}
	for name := range b {
		if _, ok := a[name]; !ok {
			names = append(names, name)
		}
	}
	return names
}

// environ is this process's environment, for a go command that leaves the
// project's go.mod to itself.
func environ() []string {
	return append(os.Environ(), "GOFLAGS=-mod=mod", "GOWORK=off")
}

// golden compares got with the text of a file, or rewrites the file.
func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(got), 0o644)) //nolint:gosec // a file of the repository
		return
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err, "go test -update writes it")
	assert.Equal(t, string(want), got)
}

// cases returns the folders in dir.
func cases(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	folders := make(map[string]string)
	for _, e := range entries {
		folders[e.Name()] = filepath.Join(dir, e.Name())
	}
	require.NotEmpty(t, folders)
	return folders
}
