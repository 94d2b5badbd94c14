// Command bench measures the library beside its floors: programs that do the
// same by hand, on the same servers and in turn with it. It prints a table.
// ENTSIGNAL_TEST_POSTGRES and its like name the servers; `make bench` sets them.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var err error
	if encoded := os.Getenv(jobVariable); encoded != "" {
		err = runJob(ctx, encoded)
	} else {
		err = run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		stop()
		os.Exit(1) //nolint:gocritic // stop was called
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	quick := flags.Bool("quick", false, "measure less, with fewer rounds")
	rounds := flags.Int("rounds", 0, "how often each side runs (5, quick 3)")
	count := flags.Int("count", 0, "messages of each flush")
	only := flags.String("only", "", "measure only the rows whose name matches this expression")
	profile := flags.String("profile", "", "write CPU profiles of each side to this directory")
	if err := flags.Parse(args); err != nil {
		return err
	}
	match, err := regexp.Compile(*only)
	if err != nil {
		return fmt.Errorf("-only: %w", err)
	}
	sc := scale{rounds: 5, tries: 3, messages: 100000, backlog: 200000}
	if *quick {
		sc = scale{rounds: 3, tries: 1, messages: 20000, backlog: 40000}
	}
	if *rounds > 0 {
		sc.rounds = *rounds
	}
	if *count > 0 {
		sc.messages, sc.backlog = *count, *count
	}
	s, err := newStage(ctx, *profile)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	var results []result
	for _, f := range s.flushes(sc) {
		f = f.only(match)
		if len(f.rows) == 0 {
			continue
		}
		r, err := f.measure(ctx, sc.rounds, stderr)
		if err != nil {
			return err
		}
		results = append(results, r...)
	}
	return printTable(stdout, results)
}
