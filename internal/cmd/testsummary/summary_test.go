package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestSummary(t *testing.T) {
	t.Parallel()
	exit := errors.New("exit status 1")
	tests := []struct {
		name   string
		events string
		err    error // of go test
		want   string
		prints []string // in this order
		hides  []string
	}{
		{
			name: "tests and subtests count alike",
			events: `{"Action":"start","Package":"p"}
{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Test":"TestA","Output":"=== RUN   TestA\n"}
{"Action":"output","Package":"p","Test":"TestA","Output":"chatter\n"}
{"Action":"run","Package":"p","Test":"TestA/sub"}
{"Action":"pass","Package":"p","Test":"TestA/sub","Elapsed":0.1}
{"Action":"pass","Package":"p","Test":"TestA","Elapsed":0.1}
{"Action":"output","Package":"p","Output":"PASS\n"}
{"Action":"pass","Package":"p","Elapsed":1.25}`,
			want:   "2 passed, 0 failed, 0 skipped",
			prints: []string{"ok   p (2 passed, 0 failed, 0 skipped) 1.2s\n"},
			hides:  []string{"chatter", "PASS"},
		},
		{
			name: "the output of a failed test is printed, that of others not",
			events: `{"Action":"run","Package":"p","Test":"TestGood"}
{"Action":"output","Package":"p","Test":"TestGood","Output":"good\n"}
{"Action":"pass","Package":"p","Test":"TestGood"}
{"Action":"run","Package":"p","Test":"TestBad"}
{"Action":"output","Package":"p","Test":"TestBad","Output":"=== RUN   TestBad\n"}
{"Action":"output","Package":"p","Test":"TestBad","Output":"    a_test.go:1: bad\n"}
{"Action":"fail","Package":"p","Test":"TestBad"}
{"Action":"fail","Package":"p"}`,
			err:    exit,
			want:   "1 passed, 1 failed, 0 skipped",
			prints: []string{"    a_test.go:1: bad\n", "FAIL p (1 passed, 1 failed, 0 skipped)\n", "FAIL p TestBad\n"},
			hides:  []string{"good", "=== RUN"},
		},
		{
			name: "a skipped test is named",
			events: `{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Test":"TestA","Output":"    a_test.go:1: no database\n"}
{"Action":"skip","Package":"p","Test":"TestA"}
{"Action":"pass","Package":"p"}`,
			want:   "0 passed, 0 failed, 1 skipped",
			prints: []string{"no database\n", "SKIP p TestA\n"},
		},
		{
			name: "a package without tests is no skip, and a module of such has failed",
			events: `{"Action":"output","Package":"p","Output":"?   \tp\t[no test files]\n"}
{"Action":"skip","Package":"p"}`,
			want:   "0 passed, 1 failed, 0 skipped",
			prints: []string{"FAIL module m: no test ran\n"},
			hides:  []string{"no test files"},
		},
		{
			name: "a build that fails is one failure of each package that it breaks, printed once",
			events: `{"ImportPath":"q","Action":"build-output","Output":"# q\n"}
{"ImportPath":"q","Action":"build-output","Output":"q.go:1:1: syntax error\n"}
{"ImportPath":"q","Action":"build-fail"}
{"Action":"start","Package":"p"}
{"Action":"output","Package":"p","Output":"FAIL\tp [build failed]\n"}
{"Action":"fail","Package":"p","FailedBuild":"q"}
{"Action":"fail","Package":"q","FailedBuild":"q"}`,
			err:    exit,
			want:   "0 passed, 2 failed, 0 skipped",
			prints: []string{"# q\nq.go:1:1: syntax error\n", "[build failed]", "FAIL p (", "FAIL q ("},
		},
		{
			name: "tests that a panic or os.Exit cut off have failed",
			events: `{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"run","Package":"p","Test":"TestA/sub"}
{"Action":"output","Package":"p","Test":"TestA/sub","Output":"last words\n"}
{"Action":"output","Package":"p","Output":"exit status 3\n"}
{"Action":"fail","Package":"p"}`,
			err:    exit,
			want:   "0 passed, 2 failed, 0 skipped",
			prints: []string{"last words\n", "exit status 3\n", "FAIL p TestA (did not end)\n", "FAIL p TestA/sub (did not end)\n"},
		},
		{
			name: "a package that fails although its tests passed",
			events: `{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"pass","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Output":"goleak: found unexpected goroutines\n"}
{"Action":"fail","Package":"p"}`,
			err:    exit,
			want:   "1 passed, 1 failed, 0 skipped",
			prints: []string{"goleak: found", "FAIL p\n"},
		},
		{
			name: "go test is killed",
			events: `{"Action":"start","Package":"p"}
{"Action":"run","Package":"p","Test":"TestA"}
{"Action":"output","Package":"p","Test":"TestA","Output":"half a li`,
			err:  errors.New("signal: killed"),
			want: "0 passed, 1 failed, 0 skipped",
		},
		{
			name:   "go test itself fails",
			events: "go: errors parsing go.mod\n",
			err:    exit,
			want:   "0 passed, 1 failed, 0 skipped",
			prints: []string{"go: errors parsing go.mod\n", "FAIL module m: exit status 1\n"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			s := newSummary(&out)
			s.begin("m")
			s.read(strings.NewReader(tt.events))
			s.end(tt.err)
			s.finish()

			if got := s.total.String(); got != tt.want {
				t.Errorf("total is %q, want %q", got, tt.want)
			}
			if !strings.HasSuffix(out.String(), "\n"+tt.want+"\n") {
				t.Errorf("the output doesn't end with the line %q", tt.want)
			}
			if want := strings.HasSuffix(tt.want, " 0 failed, 0 skipped"); s.ok() != want {
				t.Errorf("ok is %t, want %t", s.ok(), want)
			}
			rest := out.String()
			for _, p := range tt.prints {
				_, after, found := strings.Cut(rest, p)
				if !found {
					t.Errorf("%q is not printed, or not in order", p)
				}
				rest = after
			}
			for _, h := range tt.hides {
				if strings.Contains(out.String(), h) {
					t.Errorf("%q is printed", h)
				}
			}
			if t.Failed() {
				t.Logf("output:\n%s", out.String())
			}
		})
	}
}

// TestRun holds the table above against the real go test.
func TestRun(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("good/go.mod", "module good\n")
	write("good/a_test.go", "package good\nimport \"testing\"\nfunc TestA(t *testing.T) { t.Run(\"sub\", func(*testing.T) {}) }\n")
	write("bad/go.mod", "module bad\n")
	write("bad/a_test.go", "package bad\nimport \"testing\"\nfunc TestA(t *testing.T) { t.Error(\"no good\") }\nfunc TestB(t *testing.T) { t.Skip(\"too dull\") }\n")
	write("bad/broken/a.go", "package broken\nvar x int = \"text\"\n")
	write("bad/broken/a_test.go", "package broken\n")
	write("bad/exits/a_test.go", "package exits\nimport (\"os\"; \"testing\")\nfunc TestA(*testing.T) { os.Exit(3) }\n")
	write("bad/panics/a_test.go", "package panics\nimport \"testing\"\nfunc TestA(*testing.T) { panic(\"oh\") }\n")
	write("empty/go.mod", "module empty\n")
	write("empty/a.go", "package empty\n")

	tests := []struct {
		modules string
		want    string
		code    int
	}{
		{"good", "2 passed, 0 failed, 0 skipped", 0},
		{"good bad", "2 passed, 4 failed, 1 skipped", 1},
		{"good empty", "2 passed, 1 failed, 0 skipped", 1},
		{"good missing", "2 passed, 1 failed, 0 skipped", 1},
	}
	for _, tt := range tests {
		t.Run(tt.modules, func(t *testing.T) {
			t.Parallel()
			var args []string
			for _, m := range strings.Fields(tt.modules) {
				args = append(args, filepath.Join(dir, m))
			}
			var out, errs bytes.Buffer
			code := run(append(args, "--", "./..."), &out, &errs)
			if code != tt.code || !strings.HasSuffix(out.String(), "\n"+tt.want+"\n") {
				t.Errorf("exit code %d, want %d with %q; output:\n%s%s", code, tt.code, tt.want, out.String(), errs.String())
			}
		})
	}

	var out bytes.Buffer
	if code := run([]string{"good"}, &out, &out); code != 2 || !strings.HasPrefix(out.String(), "usage: ") {
		t.Errorf("without arguments for go test: exit code %d, output %q", code, out.String())
	}
}
