package crash_test

import (
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/entsignal/signalbus/integration/crash"
	"github.com/entsignal/signalbus/integration/internal/testdb"
)

func TestMain(m *testing.M) {
	if crash.IsChild() {
		os.Exit(crash.RunChild())
	}
	goleak.VerifyTestMain(m)
}

// number returns the environment variable, or otherwise.
func number(t *testing.T, name string, otherwise uint64) uint64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	require.NoError(t, err, name)
	return n
}

// each runs test in each mode on PostgreSQL, and on MariaDB in those whose
// claims differ from each other; all of them if asked to.
func each(t *testing.T, all bool, test func(t *testing.T, mode crash.Mode, kind testdb.Kind) crash.Result) {
	t.Helper()
	var (
		mu      sync.Mutex
		results []crash.Result
	)
	t.Cleanup(func() { t.Logf("\n%s", crash.Table(results)) })
	for _, kind := range []testdb.Kind{testdb.PostgreSQL, testdb.MariaDB} {
		for _, mode := range crash.Modes {
			if !all && kind.Name == testdb.MariaDB.Name && mode.Name != "autoflush async" && mode.Name != "flushordered by key" {
				continue
			}
			t.Run(mode.Name+" on "+kind.Name, func(t *testing.T) {
				t.Parallel()
				r := test(t, mode, kind)
				assert.Empty(t, r.Violations())
				mu.Lock()
				defer mu.Unlock()
				results = append(results, r)
			})
		}
	}
}

// killsEnv says how many processes are killed in each mode. A number means a
// long run, of all modes on all databases. seedEnv gives the faults of another
// run again.
const (
	killsEnv = "ENTSIGNAL_CRASH_KILLS"
	seedEnv  = "ENTSIGNAL_CRASH_SEED"
)

func TestKilledProcessesSessionsAndConnectionsLoseNothing(t *testing.T) {
	seed, kills := number(t, seedEnv, rand.Uint64()), int(number(t, killsEnv, 25))
	t.Logf("to get the same faults: %s=%d %s=%d", seedEnv, seed, killsEnv, kills)
	want := crash.Faults{Kills: kills, Sessions: max(1, kills/10), Cuts: max(1, kills/5)}
	each(t, os.Getenv(killsEnv) != "", func(t *testing.T, mode crash.Mode, kind testdb.Kind) crash.Result {
		r := crash.Run(t, crash.Config{Mode: mode, Kind: kind, Seed: seed, Faults: want})
		// A test of faults that didn't happen proves nothing.
		assert.GreaterOrEqual(t, r.Faults.Kills, want.Kills)
		assert.GreaterOrEqual(t, r.Faults.Sessions, want.Sessions)
		assert.GreaterOrEqual(t, r.Faults.Cuts, want.Cuts)
		assert.Positive(t, r.Committed)
		return r
	})
}

func TestWithoutFaultsNothingRepeatsAndNothingFails(t *testing.T) {
	each(t, os.Getenv(killsEnv) != "", func(t *testing.T, mode crash.Mode, kind testdb.Kind) crash.Result {
		r := crash.Run(t, crash.Config{Mode: mode, Kind: kind, Transactions: 50})
		assert.Zero(t, r.Repeats)
		assert.Zero(t, r.Failed)
		assert.Positive(t, r.Committed)
		return r
	})
}
