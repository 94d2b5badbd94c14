package retry_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/cobra"

	"github.com/entsignal/signalbus/cmd/signalcli"
	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/integration/internal/scripts"
	"github.com/entsignal/signalbus/integration/internal/testdb"
	"github.com/entsignal/signalbus/integration/retry/ent"
)

// What scripts set in the environment of the program.
const (
	envKind = "WORKS_KIND" // the database
	envDSN  = "WORKS_DSN"  // and how to reach it
	envBad  = "WORKS_BAD"  // numbers, separated by commas, that fail for good
	envSick = "WORKS_SICK" // numbers that fail for now
)

// fileDown is a file of the program's folder. While it is there, the broker is away.
const fileDown = "down"

func TestCommandsOnFailedSignals(t *testing.T) {
	t.Parallel()
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
				Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){"exits": scripts.Exits},
			})
		})
	}
}

// program is what the scripts run.
func program() int {
	root := signalcli.Command(openProgram)
	root.Use = "works"
	root.AddCommand(&cobra.Command{Use: "record SIGNAL N", Args: cobra.ExactArgs(2), RunE: record})
	return signalcli.ExitCode(root.Execute())
}

func openProgram(context.Context) (*entsignal.Bus, func() error, error) {
	bus, err := ent.NewSignalBus(ent.SignalSenders{
		JobQueued:  programSender(jobNumber),
		StepDone:   programSender(stepNumber),
		MailWanted: programSender(mailNumber),
	}, entsignal.WithMissingSenders())
	if err != nil {
		return nil, nil, err
	}
	client, err := connect(ent.WithSignalBus(bus))
	if err != nil {
		return nil, nil, err
	}
	return bus, client.Close, nil
}

func connect(opts ...ent.Option) (*ent.Client, error) {
	i := slices.IndexFunc(testdb.All, func(k testdb.Kind) bool { return k.Name == os.Getenv(envKind) })
	driver, err := (&testdb.DB{Kind: testdb.All[i], DSN: os.Getenv(envDSN)}).Connect()
	if err != nil {
		return nil, err
	}
	return ent.NewClient(append(opts, ent.Driver(driver))...), nil
}

// programSender returns a sender that fails as it is told.
func programSender[T any](number func(T) int) entsignal.Sender[T] {
	among := func(env string, n int) bool {
		return slices.Contains(strings.Split(os.Getenv(env), ","), strconv.Itoa(n))
	}
	return entsignal.Each(func(_ context.Context, signal T) error {
		switch n := number(signal); {
		case isDown():
			return entsignal.Unavailable(errors.New("the broker is down"))
		case among(envBad, n):
			return entsignal.Permanent(errors.New("refused:\nsee amqp://lim:s3cret@mq/x"))
		case among(envSick, n):
			return errors.New("not now")
		default:
			return nil
		}
	})
}

func isDown() bool {
	_, err := os.Stat(fileDown)
	return err == nil
}

// record records pending signals, numbered from 1.
func record(c *cobra.Command, args []string) error {
	n, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	client, err := connect()
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	for i := range n {
		switch args[0] {
		case "JobQueued":
			err = client.JobQueued.Create().SetNumber(i + 1).Exec(ctx)
		case "StepDone":
			err = client.StepDone.Create().SetNumber(i + 1).Exec(ctx)
		case "MailWanted":
			err = client.MailWanted.Create().SetNumber(i + 1).Exec(ctx)
		default:
			return fmt.Errorf("record can't do %s", args[0])
		}
		if err != nil {
			return err
		}
	}
	return nil
}
