// Package mutants breaks the library on purpose, to see that the crash test
// notices. Each patch is a bug that outboxes have: it is applied to copies of
// the files, so that the library has none of it.
package mutants_test

import (
	"maps"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/entsignal/signalbus/integration/crash"
	"github.com/entsignal/signalbus/integration/internal/testdb"
	"github.com/entsignal/signalbus/integration/pair"
)

func TestMain(m *testing.M) {
	if crash.IsChild() {
		os.Exit(crash.RunChild())
	}
	goleak.VerifyTestMain(m)
}

// faults are few, and strike the more.
var faults = crash.Faults{Kills: 10, Sessions: 1, Cuts: 6}

// cuts are enough to lose what a mutant doesn't wait for. A process that nobody
// kills has more on its way when they come.
var cuts = crash.Faults{Cuts: 8}

const (
	latency = 10 * time.Millisecond
	fade    = 150 * time.Millisecond
	hold    = 50 * time.Millisecond
)

// A run is one in which a mutant shows.
var (
	// faulty cuts connections whose answers are under way.
	faulty = crash.Config{Faults: cuts, Latency: latency, Fade: fade}
	// slow has no faults, but a broker whose answer is awaited when a flush is cancelled.
	slow = crash.Config{Transactions: 30, Latency: latency}
	// open has no faults, but transactions that stay open for a while.
	open = crash.Config{Transactions: 30, Hold: hold}
	// busy is the same with more of them.
	busy = crash.Config{Transactions: 80, Hold: hold}
)

// tries is how often a mutant runs until it is caught: one that needs a race, or
// a fault at the right moment, may be lucky. On a slow machine one run in three
// was seen to catch locks_before_bound.
const tries = 12

// runs says in which run which verdict betrays a mutant.
var runs = []struct {
	mutant  string
	mode    string
	run     crash.Config
	by      func(crash.Verdict) int
	promise string
	// explained says that the harness finds nothing wrong: the senders of this mutant
	// report an error, which explains a repeat.
	explained bool
}{
	{"early_deletion", "flushmany", faulty, lost, "nothing is lost", false},
	{"ignored_confirms", "flushmany", faulty, lost, "nothing is lost", false},
	{"ignored_error", "flushmany", faulty, lost, "nothing is lost", false},
	{"premature_send", "autoflush", open, phantoms, "what is sent was committed", false},
	{"premature_send", "relay beside autoflush", open, phantoms, "beside a relay, too, what is sent was committed", false},
	{"no_claim", "autoflush", open, unexplained, "without a fault nothing repeats", false},
	{"cut_short", "flushmany", slow, repeats, "a flush that is cancelled repeats nothing", true},
	{"no_turn", "flushordered by key", busy, keyInversions, "the order of a key is kept", false},
	{"locks_before_bound", "flushordered", busy, idInversions, "the order of ids is kept", false},
}

// harmless is a mutant that breaks no promise: a wake-up is never more than a hint.
const harmless = "ignored_wakeup"

func lost(v crash.Verdict) int          { return v.Lost }
func phantoms(v crash.Verdict) int      { return v.Phantom }
func unexplained(v crash.Verdict) int   { return v.Unexplained }
func repeats(v crash.Verdict) int       { return v.Repeats } // none, where there are no faults
func idInversions(v crash.Verdict) int  { return v.IDInversions }
func keyInversions(v crash.Verdict) int { return v.KeyInversions }

func mode(t *testing.T, name string) crash.Mode {
	t.Helper()
	i := slices.IndexFunc(crash.Modes, func(m crash.Mode) bool { return m.Name == name })
	require.GreaterOrEqual(t, i, 0, name)
	return crash.Modes[i]
}

func TestEachMutantIsCaught(t *testing.T) {
	all := patches(t)
	known := map[string]bool{harmless: true}
	for _, r := range runs {
		known[r.mutant] = true
	}
	for name := range caughtByBooks {
		known[name] = true
	}
	require.ElementsMatch(t, slices.Collect(maps.Keys(known)), slices.Collect(maps.Keys(all)), "each patch needs a run that catches it")
	files := overlay(t, all)
	binary := build(t, "../crash/child", files)

	t.Run("none", func(t *testing.T) {
		t.Parallel()
		r := crash.Run(t, crash.Config{Mode: mode(t, "flushmany"), Kind: testdb.PostgreSQL, Faults: faults, Latency: latency, Fade: fade, Binary: binary})
		assert.Empty(t, r.Violations(), "not the mutants are caught, the harness is broken")
	})
	t.Run(harmless, func(t *testing.T) {
		t.Parallel()
		config := open
		config.Mode, config.Kind = mode(t, "relay in order"), testdb.PostgreSQL
		config.Binary, config.Env = binary, []string{mutantEnv + "=" + harmless}
		assert.Empty(t, crash.Run(t, config).Violations(), "a relay that nobody wakes loses nothing")
	})
	t.Run("pair", func(t *testing.T) {
		t.Parallel()
		eachMutantOfTheInboxIsCaught(t, pair.Build(t, "-overlay", files))
	})
	for _, c := range runs {
		t.Run(c.mutant+" "+c.mode, func(t *testing.T) {
			t.Parallel()
			var r crash.Result
			for try := range uint64(tries) {
				config := c.run
				config.Mode, config.Kind, config.Seed = mode(t, c.mode), testdb.PostgreSQL, try
				config.Binary, config.Env = binary, []string{mutantEnv + "=" + c.mutant}
				r = crash.Run(t, config)
				t.Logf("\n%s%q", crash.Table([]crash.Result{r}), r.Violations())
				if c.by(r.Verdict) > 0 {
					break
				}
			}
			assert.Positive(t, c.by(r.Verdict), "the mutant survived the check that %s", c.promise)
			if !c.explained {
				assert.NotEmpty(t, r.Violations())
			}
		})
	}
}

func TestPatchThatDoesNotFitIsAnError(t *testing.T) {
	const patch = "Why.\n\n--- a/f\n+++ b/f\n@@ -1,2 +1,3 @@\n one\n+two\n three\n"
	files := map[string]string{}
	read := func(path string) (string, error) { return files[path], nil }
	write := func(path, text string) { files[path] = text }
	for text, want := range map[string]string{
		"zero\none\nthree\n":            "",
		"one\n\nthree\n":                "f has these lines in 0 places",
		"one\nthree\n---\none\nthree\n": "f has these lines in 2 places",
	} {
		files["f"] = text
		err := apply(patch, read, write)
		if want == "" {
			require.NoError(t, err)
			assert.Equal(t, "zero\none\ntwo\nthree\n", files["f"])
			continue
		}
		assert.ErrorContains(t, err, want)
	}
	assert.ErrorContains(t, apply("no diff\n", read, write), "changes nothing")
}
