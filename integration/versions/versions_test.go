// Package versions_test generates a project with versions of ent that this module
// doesn't require, and runs its tests.
package versions_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// ents are what stands for entgo.io/ent in go.mod. All other tests run with the
// version that this module requires. In the environment, ENTSIGNAL_TEST_ENT adds
// the folder of another.
func ents() map[string]string {
	ents := map[string]string{
		"v0.14.4": "entgo.io/ent@v0.14.4",
		"v0.14.5": "entgo.io/ent@v0.14.5",
	}
	if dir, ok := os.LookupEnv("ENTSIGNAL_TEST_ENT"); ok {
		ents["folder"] = dir
	}
	return ents
}

func TestGeneratedCodeWorksWithOtherVersionsOfEnt(t *testing.T) {
	t.Parallel()
	for name, replacement := range ents() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newProject(t, replacement)
			p.run(t, "ent", "go", "run", "entc.go")
			p.run(t, ".", "go", "test", "-vet=off", "-count=1", ".")
		})
	}
}

// project is a module of its own.
type project struct{ dir string }

// newProject returns a project whose module requires what this one does, but for
// ent.
func newProject(t *testing.T, ent string) project {
	t.Helper()
	p := project{t.TempDir()}
	require.NoError(t, os.CopyFS(p.dir, os.DirFS("testdata/project")))
	copyFile(t, "../drivers/ent/literal.tmpl", filepath.Join(p.dir, "ent", "literal.tmpl"))
	copyFile(t, "../go.mod", filepath.Join(p.dir, "go.mod"))
	copyFile(t, "../go.sum", filepath.Join(p.dir, "go.sum"))
	sums, err := os.ReadFile("testdata/go.sum")
	require.NoError(t, err)
	all, err := os.OpenFile(filepath.Join(p.dir, "go.sum"), os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = all.Write(sums)
	require.NoError(t, err)
	require.NoError(t, all.Close())
	library, err := filepath.Abs("../..")
	require.NoError(t, err)
	p.run(t, ".", "go", "mod", "edit", "-module=example.com/project",
		"-replace=github.com/entsignal/signalbus="+library, "-replace=github.com/entsignal/signalbus/otelsignal="+library+"/otelsignal", "-replace=entgo.io/ent="+ent)
	return p
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	content, err := os.ReadFile(from)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(to, content, 0o600))
}

// run runs a command in a folder of the project.
func (p project) run(t *testing.T, folder string, command ...string) {
	t.Helper()
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Dir = filepath.Join(p.dir, folder)
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS="+strings.TrimSpace(os.Getenv("GOFLAGS")+" -mod=mod"))
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s\n%s", strings.Join(command, " "), out)
	if testing.Verbose() {
		fmt.Printf("%s\n", out)
	}
}
