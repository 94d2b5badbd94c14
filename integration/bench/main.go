// Command bench measures the library beside its baselines: programs that do the
// same by hand, on the same servers and in turn with it. It prints a table, and
// writes docs/benchmarks.md and results.json beside this file.
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
	"slices"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	isJob, err := jobOfThisProcess(ctx, os.Stdout)
	if !isJob {
		err = run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		stop()
		os.Exit(1) //nolint:gocritic // stop was called
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	quick := flags.Bool("quick", false, "measure less, in fewer rounds")
	rounds := flags.Int("rounds", 0, "in how many rounds each side runs (6; quick: 4); an even number is fair to both sides")
	only := flags.String("only", "", "measure only the rows whose name matches this expression, and write no file")
	profile := flags.String("profile", "", "write CPU profiles of each side to this directory, and nothing else")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	match, err := regexp.Compile(*only)
	if err != nil {
		return fmt.Errorf("-only: %w", err)
	}
	sc := fullScale()
	if *quick {
		sc = quickScale()
	}
	if *rounds > 0 {
		sc.rounds = *rounds
	}
	if *profile != "" {
		sc.rounds = 1 // one profile of each
		if err := os.MkdirAll(*profile, 0o755); err != nil {
			return err
		}
	}
	at, err := findPlaces(ctx)
	if err != nil {
		return err
	}
	whole := *only == "" && *profile == ""
	rep, err := measure(ctx, at, sc, whole, match, *profile, stderr)
	if err != nil {
		return err
	}
	rep.quick, rep.rounds = *quick, sc.rounds
	if whole {
		if !*quick {
			if rep.facts, err = sizes(ctx, at.module); err != nil {
				return err
			}
		}
		if err := at.publish(rep); err != nil {
			return err
		}
	}
	return rep.printTable(stdout)
}

// measure runs the families of the rows that match; if it is to be paced, with
// less to do on a slow machine.
func measure(ctx context.Context, at places, sc scale, paced bool, match *regexp.Regexp, profile string, progress io.Writer) (rep report, err error) {
	s, err := newStage(ctx, profile)
	if err != nil {
		return rep, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	if err := s.durable(ctx); err != nil {
		return rep, err
	}
	if rep.machine, err = s.machine(ctx); err != nil {
		return rep, err
	}
	if paced {
		if sc, err = s.pace(ctx, sc); err != nil {
			return rep, err
		}
	}
	for _, f := range s.families(at, sc) {
		f = f.only(match)
		if len(f.rows) == 0 {
			continue
		}
		results, err := f.measure(ctx, sc.rounds, progress)
		if err != nil {
			return rep, err
		}
		rep.results = append(rep.results, results...)
	}
	return rep, nil
}

// families are all that the command measures.
func (s *stage) families(at places, sc scale) []family {
	return slices.Concat(
		s.flushes(sc),
		[]family{s.growth(sc)},
		s.orders(sc),
		s.idle(sc),
		s.autoflushes(sc),
		s.relays(sc),
		s.traces(sc),
		s.inboxes(sc),
		s.drains(sc),
		[]family{collecting(at.repository)},
		s.variants(sc),
	)
}
