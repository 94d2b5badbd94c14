package crash_test

import (
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

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

// long reports whether a long run is asked for.
func long() bool { return os.Getenv(killsEnv) != "" }

// each runs test in each mode on PostgreSQL, and on MariaDB in two whose
// claims differ from each other; or, as in a long run, in all.
func each(t *testing.T, test func(t *testing.T, mode crash.Mode, kind testdb.Kind) crash.Result) {
	t.Helper()
	in(t, func(mode crash.Mode, kind testdb.Kind) bool {
		return kind.Name == testdb.PostgreSQL.Name || mode.Name == "autoflush async" || mode.Name == "flushordered by key"
	}, test)
}

// in runs test in the chosen modes, or in all in a long run, and shows the
// results.
func in(t *testing.T, choose func(crash.Mode, testdb.Kind) bool, test func(t *testing.T, mode crash.Mode, kind testdb.Kind) crash.Result) {
	t.Helper()
	var (
		mu      sync.Mutex
		results []crash.Result
	)
	t.Cleanup(func() { t.Logf("\n%s", crash.Table(results)) })
	for _, kind := range []testdb.Kind{testdb.PostgreSQL, testdb.MariaDB} {
		for _, mode := range crash.Modes {
			if !long() && !choose(mode, kind) {
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

// faults returns the seed of a test's faults, and scales their number.
func faults(t *testing.T, f crash.Faults) (uint64, crash.Faults) {
	t.Helper()
	seed, kills := number(t, seedEnv, rand.Uint64()), int(number(t, killsEnv, defaultKills))
	t.Logf("to get the same faults: %s=%d %s=%d", seedEnv, seed, killsEnv, kills)
	for _, n := range []*int{&f.Kills, &f.Terms, &f.Pauses, &f.Sessions, &f.Cuts} {
		*n = *n * kills / defaultKills
	}
	return seed, f
}

const defaultKills = 25

// assertHappened asserts that the faults happened: without them a test of them
// proves nothing.
func assertHappened(t *testing.T, want crash.Faults, r crash.Result) {
	t.Helper()
	assert.GreaterOrEqual(t, r.Faults.Kills, want.Kills)
	assert.GreaterOrEqual(t, r.Faults.Terms, want.Terms)
	assert.GreaterOrEqual(t, r.Faults.Pauses, want.Pauses)
	assert.GreaterOrEqual(t, r.Faults.Sessions, want.Sessions)
	assert.GreaterOrEqual(t, r.Faults.Cuts, want.Cuts)
	assert.Positive(t, r.Committed)
}

func TestKilledProcessesSessionsAndConnectionsLoseNothing(t *testing.T) {
	seed, want := faults(t, crash.Faults{Kills: defaultKills, Sessions: 3, Cuts: 5})
	each(t, func(t *testing.T, mode crash.Mode, kind testdb.Kind) crash.Result {
		r := crash.Run(t, crash.Config{Mode: mode, Kind: kind, Seed: seed, Faults: want})
		assertHappened(t, want, r)
		return r
	})
}

// Its transaction is over when it wakes up, others have sent what it had in
// hand and newer signals too, and it sends the old ones again.
func TestFlusherThatStoodStillLosesNothingAndKeepsTheOrderOfFirstArrivals(t *testing.T) {
	seed, want := faults(t, crash.Faults{Pauses: 8})
	in(t, func(mode crash.Mode, kind testdb.Kind) bool {
		return mode.Name == "flushordered" && kind.Name == testdb.PostgreSQL.Name || mode.Name == "flushordered by key" && kind.Name == testdb.MariaDB.Name
	}, func(t *testing.T, mode crash.Mode, kind testdb.Kind) crash.Result {
		const latency = 20 * time.Millisecond // so that a claim takes most of the time
		r := crash.Run(t, crash.Config{Mode: mode, Kind: kind, Seed: seed, Faults: want, Latency: latency})
		assertHappened(t, want, r)
		assert.Positive(t, r.Failed, "no pause came upon a claim")
		return r
	})
}

func TestProcessesThatAreToldToEndLeaveNothingInTheAir(t *testing.T) {
	seed, want := faults(t, crash.Faults{Terms: 15})
	in(t, func(mode crash.Mode, kind testdb.Kind) bool {
		return kind.Name == testdb.PostgreSQL.Name && (mode.Name == "autoflush async" || mode.Name == "flushmany" || mode.Name == "flushordered")
	}, func(t *testing.T, mode crash.Mode, kind testdb.Kind) crash.Result {
		r := crash.Run(t, crash.Config{Mode: mode, Kind: kind, Seed: seed, Faults: want})
		assertHappened(t, want, r)
		assert.Zero(t, r.Repeats)
		assert.Zero(t, r.Failed)
		return r
	})
}

func TestWithoutFaultsNothingRepeatsAndNothingFails(t *testing.T) {
	each(t, func(t *testing.T, mode crash.Mode, kind testdb.Kind) crash.Result {
		r := crash.Run(t, crash.Config{Mode: mode, Kind: kind, Transactions: 50})
		assert.Zero(t, r.Repeats)
		assert.Zero(t, r.Failed)
		assert.Positive(t, r.Committed)
		return r
	})
}
