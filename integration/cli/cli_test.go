// Package cli tests the commands of cmd/signalcli as processes, by the scripts
// in testdata, on a real database each. program_test.go is the program that
// the scripts run.
package cli

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/entsignal/signalbus/integration/internal/scripts"
	"github.com/entsignal/signalbus/integration/internal/testdb"
	"github.com/entsignal/signalbus/integration/shop/ent"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"shop":      func() { os.Exit(mounted()) },
		"signalbus": func() { os.Exit(alone()) },
	})
}

func TestCommands(t *testing.T) {
	for _, kind := range []testdb.Kind{testdb.SQLite, testdb.PostgreSQL} {
		t.Run(kind.Name, func(t *testing.T) {
			t.Parallel()
			testscript.Run(t, testscript.Params{
				Dir:                 "testdata",
				RequireExplicitExec: true,
				RequireUniqueNames:  true,
				Setup: func(env *testscript.Env) error {
					tb := env.T().(testing.TB)
					db := testdb.New(tb, kind)
					client := ent.NewClient(ent.Driver(db.Driver(tb)))
					db.CreateTables(tb, func(w io.Writer) error { return client.Schema.WriteTo(context.Background(), w) })
					env.Setenv(envKind, kind.Name)
					env.Setenv(envDSN, db.DSN)
					// With the race detector each process would linger for a second.
					env.Setenv("GORACE", "atexit_sleep_ms=0")
					return nil
				},
				Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
					"exits": scripts.Exits,
					"await": await,
					"once":  once,
					"term":  term,
				},
			})
		})
	}
}

// await waits until a file has a line that matches, or so many of them:
// await FILE REGEXP [COUNT]
func await(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 || len(args) > 3 {
		ts.Fatalf("usage: await FILE REGEXP [COUNT]")
	}
	want := 1
	if len(args) == 3 {
		var err error
		want, err = strconv.Atoi(args[2])
		ts.Check(err)
	}
	line, err := regexp.Compile(args[1])
	ts.Check(err)
	var text []byte
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		text, _ = os.ReadFile(ts.MkAbs(args[0]))
		got := 0
		for _, l := range bytes.Split(text, []byte("\n")) {
			if line.Match(l) {
				got++
			}
		}
		if got >= want {
			return
		}
	}
	ts.Fatalf("%s hasn't got %d lines that match %s:\n%s", args[0], want, args[1], text)
}

// term sends SIGTERM, which testscript's kill doesn't know, to the program that
// was started last.
func term(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: term")
	}
	started := ts.BackgroundCmds()
	ts.Check(started[len(started)-1].Process.Signal(syscall.SIGTERM))
}

// once checks that the numbers 1 to N of a signal were sent, each once, and
// nothing else of it: once SIGNAL N
func once(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: once SIGNAL N")
	}
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	times := make(map[string]int)
	text, err := os.ReadFile(filepath.Join(ts.Getenv("WORK"), fileSent))
	ts.Check(err)
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, args[0]+" ") {
			times[line]++
		}
	}
	for i := range n {
		if line := fmt.Sprint(args[0], " ", i+1); times[line] != 1 {
			ts.Fatalf("%s was sent %d times", line, times[line])
		}
	}
	if len(times) != n {
		ts.Fatalf("%d different signals were sent, not %d", len(times), n)
	}
}
