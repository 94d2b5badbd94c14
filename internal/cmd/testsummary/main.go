// Command testsummary runs `go test` in several modules and adds up what
// happened, to end with one line:
//
//	N passed, N failed, N skipped
//
// It prints a line per package, and of the tests only the output of those that
// failed or were skipped. Tests and subtests count alike. A failure is also: a
// package that doesn't build or ends outside a test, and a module in which no
// test ran. It exits with 0 only when something passed, and nothing failed or
// was skipped, for a skipped test has proven nothing.
//
// Usage:
//
//	testsummary DIR[:PACKAGE]... -- ARGUMENT OF GO TEST...
//
// The last argument is the pattern of the packages. Those that DIR names itself
// start before the others: the longest ones, so that nothing waits for them in the
// end.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

func run(args []string, stdout, stderr io.Writer) int {
	end := slices.Index(args, "--")
	if end < 1 {
		fmt.Fprintln(stderr, "usage: testsummary DIR[:PACKAGE]... -- ARGUMENT OF GO TEST...")
		return 2
	}
	// An interrupted run still tells how far it came.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	s := newSummary(stdout)
	for _, module := range args[:end] {
		dir, testArgs := firstPackages(module, args[end+1:])
		runModule(ctx, s, dir, testArgs, stderr)
		if ctx.Err() != nil {
			s.interrupt()
			break
		}
	}
	s.finish()
	if ctx.Err() != nil || !s.ok() {
		return 1
	}
	return 0
}

// firstPackages takes DIR:PACKAGE:PACKAGE… apart, and puts the packages before the
// last argument of go test.
func firstPackages(module string, args []string) (dir string, with []string) {
	parts := strings.Split(module, ":")
	return parts[0], slices.Insert(slices.Clone(args), max(0, len(args)-1), parts[1:]...)
}

// runModule runs the tests of the module in dir. What keeps go test itself
// from working, a missing directory for one, counts as a failure of the module.
func runModule(ctx context.Context, s *summary, dir string, args []string, stderr io.Writer) {
	s.begin(dir)
	cmd := exec.CommandContext(ctx, "go", append([]string{"test", "-json"}, args...)...)
	cmd.Dir = dir
	cmd.Stderr = stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	out, w := io.Pipe()
	cmd.Stdout = w
	if err := cmd.Start(); err != nil {
		s.end(err)
		return
	}
	ended := make(chan error, 1)
	go func() {
		err := cmd.Wait() // by WaitDelay also when a test survives go test and keeps the pipe open
		_ = w.Close()
		ended <- err
	}()
	s.read(out)
	s.end(<-ended)
}
