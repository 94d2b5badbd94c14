package signalcli

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
	"unicode"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
	"github.com/lib/pq"
	"github.com/spf13/cobra"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/hooks"
	"github.com/entsignal/signalbus/internal/engine"
)

// program is a program around the group, in which a test plays the system.
type program struct {
	system
	signals chan<- os.Signal // what the command listens to, once it does
	exited  []int
}

func newProgram(open func(context.Context) (*entsignal.Bus, func() error, error)) *program {
	p := &program{}
	p.system = system{
		open:     open,
		notify:   func(c chan<- os.Signal) func() { p.signals = c; return func() {} },
		exit:     func(code int) { p.exited = append(p.exited, code) },
		terminal: func(any) bool { return false },
		width:    func(any) int { return 0 },
	}
	return p
}

// run runs a command line.
func (p *program) run(ctx context.Context, args ...string) (stdout, stderr string, err error) {
	var out, errOut bytes.Buffer
	c := newGroup(p.system)
	c.SetOut(&out)
	c.SetErr(&errOut)
	c.SetArgs(args)
	err = c.ExecuteContext(ctx)
	return out.String(), errOut.String(), err
}

// emptyBus returns a bus without signals, whose flushes need no database.
func emptyBus(t *testing.T) (*entsignal.Bus, func() error, error) {
	t.Helper()
	bus, err := hooks.NewBus(nil)
	require.NoError(t, err)
	connector, err := pq.NewConnector("host=nowhere.invalid")
	require.NoError(t, err)
	db := sql.OpenDB(connector)
	engine.Bind(bus, engine.Client{
		Driver: func() dialect.Driver { return entsql.OpenDB(dialect.Postgres, db) },
		Detach: func(ctx context.Context) context.Context { return ctx },
	})
	return bus, db.Close, nil
}

func TestOpenThatReturnsNothing(t *testing.T) {
	p := newProgram(func(context.Context) (*entsignal.Bus, func() error, error) { return nil, nil, nil })
	for _, command := range []string{"flush", "flushmany", "flushordered", "signals", "pending", "failed"} {
		_, stderr, err := p.run(t.Context(), command)
		assert.Equal(t, 1, ExitCode(err), command)
		assert.Contains(t, stderr, "the program's open function returned no bus")
	}
}

func TestFailedSignalsAreNamedBeforeTheBusIsOpened(t *testing.T) {
	p := newProgram(func(context.Context) (*entsignal.Bus, func() error, error) {
		t.Error("opened")
		return nil, nil, errors.New("opened")
	})
	for args, want := range map[string]string{
		"retry":                             "missing signal; retry takes the name of one",
		"retry OrderPlaced":                 "no signals given; expected --id, which may be repeated, or --all",
		"retry OrderPlaced --id 1 --all":    "--id and --all can't be combined",
		"retry OrderPlaced UserJoined":      `unexpected argument "UserJoined"; retry takes the name of one signal`,
		"discard":                           "missing signal; discard takes the name of one",
		"discard OrderPlaced":               "no signals given; expected --id, which may be repeated",
		"discard OrderPlaced --all":         "unknown flag: --all",
		"discard OrderPlaced --id 1":        "standard input is not a terminal; give --yes to discard the signals",
		"flushmany OrderPlaced --skip-dead": "unknown flag: --skip-dead",
	} {
		stdout, stderr, err := p.run(t.Context(), strings.Fields(args)...)
		assert.Equal(t, 2, ExitCode(err), args)
		assert.Empty(t, stdout)
		assert.Contains(t, stderr, want)
	}
}

func TestOnlyAYesDiscards(t *testing.T) {
	for answer, want := range map[string]bool{
		"y\n": true, "Yes\n": true, " YES \n": true, "y": true,
		"": false, "\n": false, "n\n": false, "yeah\n": false, "nope\ny\n": false,
	} {
		c := &cobra.Command{}
		var asked bytes.Buffer
		c.SetErr(&asked)
		c.SetIn(strings.NewReader(answer))
		assert.Equal(t, want, confirmed(c, "Really?"), "%q", answer)
		assert.Equal(t, "Really? [y/N] ", asked.String())
	}
}

func TestTableOfFailedSignalsCantBeForged(t *testing.T) {
	long, died, soon := strings.Repeat("ä", 200), time.Now().Add(-50*time.Hour), time.Now().Add(90*time.Second)
	var out bytes.Buffer
	require.NoError(t, printFailed(&out, []entsignal.FailedSignal{
		{Name: "A", ID: "1", Attempts: 3, Error: "a\nb\tc\x1b[2J \"d\"", FailedAt: &died, Dead: true},
		{Name: "A", ID: "2", Attempts: 1, Error: long, RetryAt: &soon},
		{Name: "B", ID: "x", Attempts: 1, RetryAt: &died},
	}))
	assert.Equal(t, `SIGNAL  ID  ATTEMPTS  STATE     AGE  ERROR
A       1   3         dead      2d   a\nb\tc\x1b[2J "d"
A       2   1         waits 1m  -    `+long[:200]+`…
B       x   1         waits     -    
`, out.String())
	for d, want := range map[time.Duration]string{
		-time.Second: "0s", 59 * time.Second: "59s", 119 * time.Second: "1m", 47 * time.Hour: "47h", 49 * time.Hour: "2d",
	} {
		assert.Equal(t, want, roughly(d))
	}
}

func FuzzOneLine(f *testing.F) {
	for _, text := range []string{"", "plain", "a\nb", "\x1b[2J", "\xff", "\u2028", `"q" \`, strings.Repeat("ä", 200)} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, r := range oneLine(text) {
			require.True(t, unicode.IsPrint(r), "%q", oneLine(text))
		}
	})
}

func TestCloseFunction(t *testing.T) {
	closed := 0
	p := newProgram(func(context.Context) (*entsignal.Bus, func() error, error) {
		bus, closeDB, _ := emptyBus(t)
		return bus, func() error { closed++; return errors.Join(closeDB(), errors.New("stuck")) }, nil
	})
	stdout, stderr, err := p.run(t.Context(), "flush", "-w", "0")
	assert.NoError(t, err, "what is sent is sent")
	assert.Equal(t, "0 signals sent\n", stdout)
	assert.Contains(t, stderr, `level=WARN msg="close failed" error=stuck`)
	_, _, err = p.run(t.Context(), "signals")
	assert.ErrorContains(t, err, "close: stuck")
	assert.Equal(t, 2, closed)
}

func TestRepeatIsFromStartToStartAndBacksOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		tries := 0
		p := newProgram(func(context.Context) (*entsignal.Bus, func() error, error) {
			if tries++; tries <= 4 {
				time.Sleep(time.Second)
				return nil, nil, errors.New("no database yet")
			}
			return emptyBus(t)
		})
		stdout, stderr, err := p.run(ctx, "flushmany", "--repeat", "2s", "--log-format", "json", "--log-level", "debug")
		require.NoError(t, err)
		assert.Equal(t, "0 signals sent, interrupted\n", stdout)

		var flushed []time.Duration
		var changes []string
		for line := range strings.Lines(stderr) {
			var record struct {
				Time time.Time `json:"time"`
				Msg  string    `json:"msg"`
			}
			require.NoError(t, json.Unmarshal([]byte(line), &record))
			switch record.Msg {
			case "flushed":
				flushed = append(flushed, record.Time.Sub(begin))
			case "flush failed; will keep retrying", "flush works again":
				changes = append(changes, record.Msg)
			}
		}
		assert.Equal(t, []string{"flush failed; will keep retrying", "flush works again"}, changes, "one line per change of state")
		assert.Equal(t, 1, strings.Count(stderr, `"msg":"flushing repeatedly"`), stderr)
		// Four failures of 1 s: at 0, 2, 4 and, as the backoff is above the
		// rest of the interval then, 6 to 7; the next backoff is 2 to 4 s.
		require.NotEmpty(t, flushed)
		assert.GreaterOrEqual(t, flushed[0], 9*time.Second)
		assert.LessOrEqual(t, flushed[0], 12*time.Second)
		for i := 1; i < len(flushed); i++ {
			assert.Equal(t, 2*time.Second, flushed[i]-flushed[i-1])
		}
		assert.Greater(t, len(flushed), 20)
	})
}

func TestUnknownNameEndsARepeat(t *testing.T) {
	p := newProgram(func(context.Context) (*entsignal.Bus, func() error, error) { return emptyBus(t) })
	stdout, _, err := p.run(t.Context(), "flush", "Nobody", "--repeat", "1")
	assert.Equal(t, 2, ExitCode(err))
	assert.Empty(t, stdout)
}

func TestFirstSignalEndsTheOpening(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProgram(func(ctx context.Context) (*entsignal.Bus, func() error, error) {
			<-ctx.Done()
			return nil, nil, ctx.Err()
		})
		go func() {
			synctest.Wait()
			p.signals <- os.Interrupt
		}()
		stdout, stderr, err := p.run(t.Context(), "flush")
		assert.Equal(t, 130, ExitCode(err), "nothing failed, and nothing is done")
		assert.Equal(t, "0 signals sent, interrupted\n", stdout)
		assert.Contains(t, stderr, "finishing the current batch, then stopping")
		assert.Empty(t, p.exited)
	})
}

func TestSecondSignalExitsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stuck := make(chan struct{})
		p := newProgram(func(context.Context) (*entsignal.Bus, func() error, error) {
			<-stuck
			return nil, nil, errors.New("gone")
		})
		p.exit = func(code int) { p.exited = append(p.exited, code); close(stuck) }
		go func() {
			synctest.Wait()
			p.signals <- os.Interrupt
			p.signals <- syscall.SIGTERM
		}()
		_, stderr, err := p.run(t.Context(), "flush")
		assert.Error(t, err)
		assert.Equal(t, []int{130}, p.exited)
		assert.Contains(t, stderr, `level=WARN msg="exiting at once; messages that were being sent may be sent again" signal=terminated`)
	})
}

// A terminal, a shell and a supervisor may all pass on the same signal.
func TestSignalThatComesTwiceWithinHalfASecondIsOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opening := make(chan struct{})
		p := newProgram(func(context.Context) (*entsignal.Bus, func() error, error) {
			<-opening
			return nil, nil, errors.New("gone")
		})
		p.exit = func(code int) { p.exited = append(p.exited, code); close(opening) }
		go func() {
			synctest.Wait()
			p.signals <- os.Interrupt
			time.Sleep(doubleTime - time.Millisecond)
			p.signals <- os.Interrupt
			synctest.Wait()
			assert.Empty(t, p.exited)
			time.Sleep(2 * time.Millisecond)
			p.signals <- os.Interrupt
		}()
		_, stderr, err := p.run(t.Context(), "flush")
		assert.Error(t, err)
		assert.Equal(t, []int{130}, p.exited)
		assert.Contains(t, stderr, "still finishing the current batch; another signal exits at once")
	})
}

func TestRepeatLogsASummaryEachMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 150*time.Second)
		defer cancel()
		p := newProgram(func(context.Context) (*entsignal.Bus, func() error, error) { return emptyBus(t) })
		_, stderr, err := p.run(ctx, "flushmany", "--repeat", "10s")
		require.NoError(t, err, "an interrupt is how a repeated flush ends")
		assert.Contains(t, stderr, `msg="flushing repeatedly" mode=flushmany signals=all every=10s`)
		assert.Equal(t, 2, strings.Count(stderr, "msg=summary sent=0 runs="), stderr)
	})
}

func TestTimeoutEndsTheOpening(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProgram(func(ctx context.Context) (*entsignal.Bus, func() error, error) {
			<-ctx.Done()
			return nil, nil, ctx.Err()
		})
		_, _, err := p.run(t.Context(), "flush", "--timeout", "5")
		assert.ErrorContains(t, err, "--timeout 5s")
		assert.Equal(t, 1, ExitCode(err))
	})
}

func TestMountedGroupLeavesTheProgramItsOwn(t *testing.T) {
	before := 0
	p := newProgram(func(context.Context) (*entsignal.Bus, func() error, error) { return emptyBus(t) })
	root := &cobra.Command{
		Use:               "app",
		SilenceErrors:     true,
		PersistentPreRunE: func(*cobra.Command, []string) error { before++; return nil },
	}
	root.PersistentFlags().StringP("config", "c", "", "")
	admin := &cobra.Command{Use: "admin"}
	admin.AddCommand(newGroup(p.system))
	root.AddCommand(admin)
	var out, errOut bytes.Buffer
	root.SetOut(&out)
	root.SetErr(&errOut)

	root.SetArgs([]string{"admin", "signalbus", "flush", "-w", "0", "--config", "x"})
	require.NoError(t, root.Execute())
	assert.Equal(t, 1, before, "the program's own hook ran")
	assert.Equal(t, "0 signals sent\n", out.String())

	for _, args := range [][]string{{"admin", "signalbus"}, {"admin", "signalbus", "x"}, {"admin", "signalbus", "flush", "-z"}} {
		root.SetArgs(args)
		err := root.Execute()
		assert.Equal(t, 2, ExitCode(err), args)
		assert.ErrorContains(t, err, "Run 'app admin signalbus")
	}
	assert.Empty(t, errOut.String(), "the program prints errors itself")
}

func TestEachCommandHasHelpWithExamples(t *testing.T) {
	for _, c := range newGroup(system{}).Commands() {
		assert.NotEmpty(t, c.Short, c.Name())
		assert.NotEmpty(t, c.Long, c.Name())
		assert.Contains(t, c.Example, "signalbus "+c.Name())
	}
}

func TestHealth(t *testing.T) {
	var h health
	changed := func(err error) bool { _, c := h.change(newResult(0, err)); return c }
	down := errors.New("down")
	assert.False(t, changed(nil), "it works at first")
	assert.True(t, changed(errors.Join(failed("A", down))))
	assert.False(t, changed(errors.Join(failed("A", errors.New("down, other words")))))
	assert.True(t, changed(errors.Join(failed("B", down), failed("A", down))), "another type fails too")
	assert.False(t, changed(errors.Join(failed("A", down), failed("B", down))))
	assert.True(t, changed(down), "something else")
	assert.True(t, changed(nil))
	assert.False(t, changed(nil))
}
