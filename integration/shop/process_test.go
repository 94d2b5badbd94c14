package shop_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/integration/internal/testdb"
	"github.com/entsignal/signalbus/integration/shop/ent"
)

// The environment of a process that a test starts: this test binary, which
// then flushes instead of testing.
const (
	childMode  = "SHOP_CHILD_MODE"
	childKind  = "SHOP_CHILD_KIND"
	childDSN   = "SHOP_CHILD_DSN"
	childBurst = "SHOP_CHILD_BURST"
	childLoop  = "SHOP_CHILD_LOOP"
)

// runChild is the program of such a process: it prints the number of each
// signal that it sends, and flushes until nothing is left; with childLoop,
// until its standard input ends.
func runChild(mode string) error {
	kind := testdb.All[slices.IndexFunc(testdb.All, func(k testdb.Kind) bool { return k.Name == os.Getenv(childKind) })]
	burst, err := strconv.Atoi(os.Getenv(childBurst))
	if err != nil {
		return err
	}
	var mu sync.Mutex
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	var senders ent.SignalSenders
	senders.AuditLogged = func(_ context.Context, signals []*ent.AuditLogged) error {
		mu.Lock()
		defer mu.Unlock()
		for _, signal := range signals {
			fmt.Fprintln(out, signal.Number)
		}
		return out.Flush()
	}
	senders.OrderPlaced = func(_ context.Context, signals []*ent.OrderPlaced) error {
		mu.Lock()
		defer mu.Unlock()
		for _, signal := range signals {
			fmt.Fprintln(out, signal.Number)
		}
		return out.Flush()
	}
	bus, err := ent.NewSignalBus(senders, entsignal.WithMissingSenders())
	if err != nil {
		return err
	}
	driver, err := (&testdb.DB{Kind: kind, DSN: os.Getenv(childDSN)}).Connect()
	if err != nil {
		return err
	}
	client := ent.NewClient(ent.Driver(driver), ent.WithSignalBus(bus))
	defer client.Close()

	parentDone := make(chan struct{})
	go func() {
		defer close(parentDone)
		_, _ = bufio.NewReader(os.Stdin).ReadString(0)
	}()
	for {
		switch mode {
		case "flushmany":
			_, err = bus.FlushMany(context.Background(), entsignal.Burst(burst))
		case "flushmany with workers":
			_, err = bus.FlushMany(context.Background(), entsignal.Burst(burst), entsignal.Workers(3))
		case "flushordered":
			_, err = bus.FlushOrdered(context.Background(), entsignal.Burst(burst))
		}
		if err != nil || os.Getenv(childLoop) == "" {
			return err
		}
		select {
		case <-parentDone:
			return nil
		default:
		}
	}
}

// child is a process that flushes.
type child struct {
	cmd  *exec.Cmd
	out  *strings.Builder
	stop func()
}

func startChild(t *testing.T, db *testdb.DB, mode string, burst int, loop bool) *child {
	t.Helper()
	c := &child{cmd: exec.Command(os.Args[0]), out: &strings.Builder{}}
	c.cmd.Env = append(os.Environ(), childMode+"="+mode, childKind+"="+db.Name, childDSN+"="+db.DSN, fmt.Sprintf("%s=%d", childBurst, burst))
	if loop {
		c.cmd.Env = append(c.cmd.Env, childLoop+"=1")
	}
	stdin, err := c.cmd.StdinPipe()
	require.NoError(t, err)
	c.stop = func() { stdin.Close() }
	c.cmd.Stdout, c.cmd.Stderr = c.out, os.Stderr
	require.NoError(t, c.cmd.Start())
	t.Cleanup(func() { _ = c.cmd.Process.Kill() })
	return c
}

// sent waits for the process and returns the numbers that it has sent.
func (c *child) sent(t *testing.T) (all []int) {
	t.Helper()
	require.NoError(t, c.cmd.Wait())
	for line := range strings.Lines(c.out.String()) {
		n, err := strconv.Atoi(strings.TrimSpace(line))
		require.NoError(t, err)
		all = append(all, n)
	}
	return all
}

func TestProcessesShareABacklogAndSendEachRowOnce(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"flushmany", "flushmany with workers"} {
		for _, strict := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, serializable %v", mode, strict), func(t *testing.T) {
				t.Parallel()
				testdb.On(t, []testdb.Kind{testdb.PostgreSQL, testdb.MariaDB}, func(t *testing.T, db *testdb.DB) {
					const rows = 20000
					s := open(t, db)
					s.audit(t, rows)
					if strict {
						db = db.WithSerializable(t)
					}
					var children []*child
					for range 4 {
						children = append(children, startChild(t, db, mode, 100, false))
					}
					var all []int
					busy := 0
					for _, c := range children {
						sent := c.sent(t)
						all = append(all, sent...)
						if len(sent) > 0 {
							busy++
						}
					}
					slices.Sort(all)
					assert.Equal(t, numbers(rows), all)
					assert.Greater(t, busy, 1, "they didn't share the work")
					assert.Zero(t, s.pending(t, "AuditLogged"))
				})
			})
		}
	}
}

func TestProcessesThatFlushInOrderKeepIt(t *testing.T) {
	t.Parallel()
	for _, strict := range []bool{false, true} {
		t.Run(fmt.Sprintf("serializable %v", strict), func(t *testing.T) {
			t.Parallel()
			testdb.On(t, []testdb.Kind{testdb.PostgreSQL, testdb.MariaDB, testdb.SQLite}, func(t *testing.T, db *testdb.DB) {
				const rows = 3000
				s := open(t, db)
				s.audit(t, rows)
				if strict {
					db = db.WithSerializable(t)
				}
				children := []*child{startChild(t, db, "flushordered", 20, false), startChild(t, db, "flushordered", 20, false)}
				var all []int
				for _, c := range children {
					sent := c.sent(t)
					assert.True(t, slices.IsSorted(sent), "a process sent out of order")
					all = append(all, sent...)
				}
				slices.Sort(all)
				assert.Equal(t, numbers(rows), all)
			})
		})
	}
}

func TestAutoflushBesideAFlushingProcessSendsNothingTwice(t *testing.T) {
	t.Parallel()
	testdb.On(t, []testdb.Kind{testdb.PostgreSQL, testdb.MariaDB, testdb.SQLite}, func(t *testing.T, db *testdb.DB) {
		s := open(t, db)
		flusher := startChild(t, db, "flushmany", 10, true)
		const writers, each = 4, 50
		var wg sync.WaitGroup
		for w := range writers {
			wg.Go(func() {
				for i := range each {
					tx, err := s.Tx(ctx(t))
					if !assert.NoError(t, err) {
						return
					}
					_, err = order(tx.OrderPlaced, w*each+i+1).Save(ctx(t))
					assert.NoError(t, err)
					assert.NoError(t, tx.Commit())
				}
			})
		}
		wg.Wait()
		_, err := s.bus.FlushMany(ctx(t))
		require.NoError(t, err)
		flusher.stop()
		all := append(flusher.sent(t), s.orders.Keys()...)
		slices.Sort(all)
		assert.Equal(t, numbers(writers*each), all)
		assert.Empty(t, s.errors.all())
	})
}

func TestKilledFlusherLeavesItsRowsAndItsTurnToOthers(t *testing.T) {
	t.Parallel()
	testdb.On(t, []testdb.Kind{testdb.PostgreSQL, testdb.MariaDB, testdb.SQLite}, func(t *testing.T, db *testdb.DB) {
		s := open(t, db)
		s.audit(t, 5000)
		flusher := startChild(t, db, "flushordered", 1, false)
		require.Eventually(t, func() bool { return s.AuditLogged.Query().CountX(ctx(t)) < 4990 }, 2*time.Minute, time.Millisecond)
		require.NoError(t, flusher.cmd.Process.Kill())
		_ = flusher.cmd.Wait()
		n, err := s.AuditLogged.FlushOrdered(ctx(t), entsignal.Burst(1000))
		require.NoError(t, err)
		assert.Positive(t, n)
		assert.Zero(t, s.pending(t, "AuditLogged"))
		sent := make(map[int]int)
		for line := range strings.Lines(flusher.out.String()) {
			number, err := strconv.Atoi(strings.TrimSpace(line))
			require.NoError(t, err)
			sent[number]++
		}
		for _, number := range s.audits.Keys() {
			sent[number]++
		}
		repeated := 0
		for _, times := range sent {
			repeated += times - 1
		}
		assert.Len(t, sent, 5000, "lost")
		assert.LessOrEqual(t, repeated, 1, "only what was in flight may repeat")
	})
}
