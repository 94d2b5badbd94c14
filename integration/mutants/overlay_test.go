package mutants_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const repo = "../.."

// mutantEnv chooses the mutant that a mutated binary is.
const mutantEnv = "ENTSIGNAL_MUTANT"

// helper is added to each package that a patch changes.
const helper = `package %s

import "os"

func mutant(name string) bool { return os.Getenv("` + mutantEnv + `") == name }
`

// patches returns the content of the patches by their names.
func patches(t *testing.T) map[string]string {
	t.Helper()
	paths, err := filepath.Glob("*.patch")
	require.NoError(t, err)
	all := make(map[string]string)
	for _, path := range paths {
		content, err := os.ReadFile(path)
		require.NoError(t, err)
		all[strings.TrimSuffix(path, ".patch")] = string(content)
	}
	return all
}

// overlay writes the files with all patches applied, each of which waits to be chosen,
// and returns the file that tells go build of them: one build is quicker than one for
// each. The files of the repository stay as they are.
func overlay(t *testing.T, patches map[string]string) (file string) {
	t.Helper()
	mutated := make(map[string]string) // by the path in the repository
	for _, name := range slices.Sorted(maps.Keys(patches)) {
		err := apply(patches[name], func(path string) (string, error) {
			if text, ok := mutated[path]; ok {
				return text, nil
			}
			content, err := os.ReadFile(filepath.Join(repo, path))
			return string(content), err
		}, func(path, text string) { mutated[path] = text })
		require.NoError(t, err, "%s.patch doesn't fit the library any more; change the patch", name)
	}
	dir := t.TempDir()
	files := struct{ Replace map[string]string }{make(map[string]string)}
	replace := func(path, text string) {
		with := filepath.Join(dir, strings.ReplaceAll(path, "/", "_"))
		require.NoError(t, os.WriteFile(with, []byte(text), 0o600))
		at, err := filepath.Abs(filepath.Join(repo, path))
		require.NoError(t, err)
		files.Replace[at] = with
	}
	for path, text := range mutated {
		replace(path, text)
		replace(filepath.Join(filepath.Dir(path), "mutant.go"), fmt.Sprintf(helper, packageOf(text)))
	}
	content, err := json.Marshal(files)
	require.NoError(t, err)
	file = filepath.Join(dir, "overlay.json")
	require.NoError(t, os.WriteFile(file, content, 0o600))
	return file
}

// build builds a program with the files of an overlay.
func build(t *testing.T, program, overlay string) (binary string) {
	t.Helper()
	binary = filepath.Join(t.TempDir(), "mutant")
	args := []string{"build", "-overlay", overlay, "-o", binary}
	if raceDetector() { // then what isn't mutated was built for this test
		args = append(args, "-race")
	}
	out, err := exec.Command("go", append(args, program)...).CombinedOutput()
	require.NoError(t, err, "the mutated library doesn't build:\n%s", out)
	return binary
}

func packageOf(file string) string {
	for line := range strings.Lines(file) {
		if name, ok := strings.CutPrefix(line, "package "); ok {
			return strings.TrimSpace(name)
		}
	}
	return ""
}

func raceDetector() bool {
	info, _ := debug.ReadBuildInfo()
	return info != nil && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}

// apply applies a unified diff. A hunk belongs where its old lines are,
// whatever their numbers; it is an error if they are nowhere, or in several
// places.
func apply(patch string, read func(path string) (string, error), write func(path, text string)) error {
	var (
		path, text string
		before     bytes.Buffer // the old lines of the hunk
		after      bytes.Buffer
		inHunk     bool
		hunks      int
	)
	finish := func() error {
		if !inHunk {
			return nil
		}
		old := before.String()
		if n := strings.Count(text, old); n != 1 {
			return fmt.Errorf("%s has these lines in %d places, expected 1:\n%s", path, n, old)
		}
		text = strings.Replace(text, old, after.String(), 1)
		write(path, text)
		before.Reset()
		after.Reset()
		inHunk = false
		hunks++
		return nil
	}
	for line := range strings.Lines(patch) {
		rest := line[1:]
		switch {
		case strings.HasPrefix(line, "--- "):
			if err := finish(); err != nil {
				return err
			}
		case strings.HasPrefix(line, "+++ "):
			_, path, _ = strings.Cut(strings.TrimSpace(line), "/")
			var err error
			if text, err = read(path); err != nil {
				return err
			}
		case strings.HasPrefix(line, "@@ "):
			if err := finish(); err != nil {
				return err
			}
			inHunk = true
		case !inHunk: // what the patch says about itself
		case line[0] == ' ':
			before.WriteString(rest)
			after.WriteString(rest)
		case line[0] == '-':
			before.WriteString(rest)
		case line[0] == '+':
			after.WriteString(rest)
		}
	}
	if err := finish(); err != nil {
		return err
	}
	if hunks == 0 {
		return errors.New("it changes nothing")
	}
	return nil
}
