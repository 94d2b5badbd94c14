package retry_test

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

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/integration/internal/testdb"
	"github.com/entsignal/signalbus/integration/retry/ent"
)

// The environment of a process that a test starts: this test binary, which
// then flushes instead of testing.
const (
	childKind = "RETRY_CHILD_KIND"
	childDSN  = "RETRY_CHILD_DSN"
)

// every is how many jobs of a child's senders one is poisoned.
const every = 97

// runChild is the program of such a process. It prints the number of each job
// that it sends, and "-" and the number of each that fails alone.
func runChild() error {
	var mu sync.Mutex
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	send := func(_ context.Context, jobs []*ent.JobQueued) error {
		mu.Lock()
		defer mu.Unlock()
		if slices.ContainsFunc(jobs, func(j *ent.JobQueued) bool { return j.Number%every == 0 }) {
			if len(jobs) == 1 {
				fmt.Fprintln(out, -jobs[0].Number)
			}
			return errPoison
		}
		for _, job := range jobs {
			fmt.Fprintln(out, job.Number)
		}
		return nil
	}
	bus, err := ent.NewSignalBus(ent.SignalSenders{JobQueued: send}, entsignal.WithMissingSenders())
	if err != nil {
		return err
	}
	kind := testdb.All[slices.IndexFunc(testdb.All, func(k testdb.Kind) bool { return k.Name == os.Getenv(childKind) })]
	driver, err := (&testdb.DB{Kind: kind, DSN: os.Getenv(childDSN)}).Connect()
	if err != nil {
		return err
	}
	client := ent.NewClient(ent.Driver(driver), ent.WithSignalBus(bus))
	defer client.Close()
	for range 2 { // the second finds nothing: what is bad waits for an hour
		_, _ = client.JobQueued.FlushMany(context.Background(), entsignal.Burst(50), entsignal.Workers(2))
	}
	return nil
}

func TestProcessesThatFlushATableWithPoisonTryEachBadSignalOnce(t *testing.T) {
	t.Parallel()
	testdb.Each(t, func(t *testing.T, db *testdb.DB) {
		const rows, processes = 3000, 3
		w := open(t, db)
		w.queue(t, rows)
		var (
			children [processes]*exec.Cmd
			outputs  [processes]strings.Builder
		)
		for i := range children {
			children[i] = exec.Command(os.Args[0])
			children[i].Env = append(os.Environ(), childKind+"="+db.Name, childDSN+"="+db.DSN)
			children[i].Stdout, children[i].Stderr = &outputs[i], os.Stderr
			require.NoError(t, children[i].Start())
		}
		var all []int
		for i, child := range children {
			require.NoError(t, child.Wait())
			for line := range strings.Lines(outputs[i].String()) {
				number, err := strconv.Atoi(strings.TrimSpace(line))
				require.NoError(t, err)
				all = append(all, number)
			}
		}
		var want []int
		for i := rows; i > 0; i-- {
			if i%every == 0 {
				want = append(want, -i)
			}
		}
		bad := len(want)
		for i := range rows {
			if (i+1)%every != 0 {
				want = append(want, i+1)
			}
		}
		assert.Equal(t, want, sorted(all))
		assert.Equal(t, entsignal.PendingCount{Name: "JobQueued", Count: bad, Waiting: bad}, w.pending(t, "JobQueued"))
		for _, f := range w.failed(t, "JobQueued") {
			assert.Equal(t, 1, f.Attempts)
		}
	})
}
