package main

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the files in the folder api")

// packages are those that other modules may import, and their files in the
// folder api.
var packages = map[string]string{
	"entsignal":               "entsignal.txt",
	"entsignal/codegen":       "entsignal_codegen.txt",
	"entsignal/entsignaltest": "entsignal_entsignaltest.txt",
	"entsignal/pqconn":        "entsignal_pqconn.txt",
	"entsignal/rabbitmq":      "entsignal_rabbitmq.txt",
	"entsignal/signalmetrics": "entsignal_signalmetrics.txt",
	"entsignal/signalweb":     "entsignal_signalweb.txt",
	"cmd/signalcli":           "cmd_signalcli.txt",
	"hooks":                   "hooks.txt",
	"mixin":                   "mixin.txt",
	"otelsignal":              "otelsignal.txt",
	"otelsignal/otelrabbitmq": "otelsignal_otelrabbitmq.txt",
}

const root = "../../.."

// A change of the API is deliberate: whoever makes it runs "make api",
// and the lines that change are reviewed.
func TestExportedAPIIsTheRecordedOne(t *testing.T) {
	for dir, name := range packages {
		t.Run(dir, func(t *testing.T) {
			lines, err := list(filepath.Join(root, dir))
			require.NoError(t, err)
			require.NotEmpty(t, lines)
			path := filepath.Join(root, "api", name)
			if *update {
				require.NoError(t, os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o644))
			}
			want, err := os.ReadFile(path)
			require.NoError(t, err)
			gone, come := difference(strings.Split(string(want), "\n"), lines)
			assert.Empty(t, gone, "gone from the API; if that is meant: make api")
			assert.Empty(t, come, "new in the API; if that is meant: make api")
		})
	}
}

// difference returns the lines that only the one or only the other has.
func difference(one, other []string) (gone, come []string) {
	for _, line := range one {
		if line != "" && !slices.Contains(other, line) {
			gone = append(gone, line)
		}
	}
	for _, line := range other {
		if !slices.Contains(one, line) {
			come = append(come, line)
		}
	}
	return gone, come
}

func TestEachPackageThatCanBeImportedIsRecorded(t *testing.T) {
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		switch {
		case d.IsDir() && path != root && (strings.HasPrefix(name, ".") || name == "internal" || name == "testdata" || name == "examples" || name == "integration"):
			return filepath.SkipDir
		case d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go"):
			return nil
		}
		dir, err := filepath.Rel(root, filepath.Dir(path))
		require.NoError(t, err)
		if dir != "cmd/entsignal" { // a program
			assert.Contains(t, packages, filepath.ToSlash(dir))
		}
		return nil
	})
	require.NoError(t, err)
}
