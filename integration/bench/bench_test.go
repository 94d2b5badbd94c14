package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"go/parser"
	"go/token"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"entgo.io/ent/dialect"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) {
	if isJob, err := jobOfThisProcess(context.Background(), os.Stdout); isJob {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	// Under the race detector each process would end a second late.
	if err := os.Setenv("GORACE", os.Getenv("GORACE")+" atexit_sleep_ms=0"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

func openStage(t *testing.T) *stage {
	t.Helper()
	s, err := newStage(t.Context(), "")
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, s.close()) })
	return s
}

// Each run counts what its side left in the queue and in the table, and fails
// if that isn't what it was measured by.
func TestEachSideDoesTheWorkThatItIsMeasuredBy(t *testing.T) {
	s := openStage(t)
	s.do = func(ctx context.Context, j job) (Figure, error) { return j.here(ctx) } // quicker, and delivers no less
	tiny := scale{rounds: 1, tries: 1, messages: 40, backlog: 40, quorum: 40, variant: 20, drained: 40, small: 20, middle: 30, large: 40, keys: 200, passes: 3, commits: 64, traced: 64, relayed: 20, burst: 10, windows: []int{10, 20}}
	measured := make(map[string]result)
	// Not that of the hook, which runs go test: see TestFigureOfTheHookIsRead.
	families := slices.Concat(s.flushes(tiny), []family{s.growth(tiny)}, s.orders(tiny), s.idle(tiny), s.autoflushes(tiny), s.relays(tiny), s.traces(tiny), s.inboxes(tiny), s.drains(tiny), s.variants(tiny)[6:])
	for _, f := range families {
		results, err := f.measure(t.Context(), tiny.rounds, io.Discard)
		require.NoError(t, err, "%v", f.rows)
		for _, r := range results {
			assert.Positive(t, r.ratio.median, r.name)
			assert.NotContains(t, measured, r.name)
			measured[r.name] = r
		}
	}
	for _, target := range targets() {
		switch target.name {
		case rowHookTime, rowHookAllocations:
		default:
			assert.Contains(t, measured, target.name)
		}
	}
}

func TestSlowMachineHasLessToDo(t *testing.T) {
	full := fullScale()
	assert.Equal(t, full, full.paced(2*quickBroker))
	half := full.paced(quickBroker / 2)
	assert.Equal(t, full.backlog/2, half.backlog)
	assert.Equal(t, full.commits/2, half.commits)
	assert.Equal(t, full.large, half.large)
	assert.Equal(t, full.commits/4, full.paced(1).commits, "what is measured must not become too little")
}

func TestWorkThatWasNotDoneIsAnError(t *testing.T) {
	s := openStage(t)
	for kind, d := range s.databases {
		require.NoError(t, d.fill(t.Context(), "events", 3, 0, []byte("x")), kind)
		require.NoError(t, d.check(t.Context(), "events", 3), kind)
		assert.ErrorContains(t, d.check(t.Context(), "events", 0), "3 events are left, and not 0", kind)
	}
	for _, quorum := range []bool{false, true} {
		q, err := s.declare(quorum)
		require.NoError(t, err)
		require.NoError(t, q.check(t.Context(), 0))
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		assert.ErrorContains(t, q.check(ctx, 1), "the queue has 0 messages, and not 1")
		require.NoError(t, q.delete())
	}
}

func TestJobHasAProcessOfItsOwn(t *testing.T) {
	s := openStage(t)
	j := job{Program: "raw drain", Database: dialect.Postgres, Count: 20, Burst: 10}
	f, err := s.run(t.Context(), j)
	require.NoError(t, err)
	assert.Equal(t, 20, f.Count)
	assert.Positive(t, f.Client)
	assert.Positive(t, f.Memory)
	j.Count = 0
	_, err = s.run(t.Context(), j)
	assert.ErrorContains(t, err, "nothing was measured")
}

func TestFigureOfTheHookIsRead(t *testing.T) {
	f, err := parseCollect(`goos: linux
BenchmarkCollect/Create-2         	     790	   1466517 ns/op	         0.9772 allocs/signal	       146.5 ns/signal
BenchmarkCollect/CreateBulk-2     	     549	   2250056 ns/op	         0.9001 allocs/signal	       225.0 ns/signal
PASS
`)
	require.NoError(t, err)
	assert.InDelta(t, 0.225, microsEach(f), 1e-9)
	assert.InDelta(t, 0.9772, allocations(f), 1e-9)
	for _, out := range []string{"", "PASS\n", "BenchmarkCollect/Create-2 790 1466517 ns/op\n", "BenchmarkCollect/Create-2 790 x ns/signal\n"} {
		_, err := parseCollect(out)
		assert.Error(t, err, "%q", out)
	}
}

func TestProjectsThatAreMeasuredAreGo(t *testing.T) {
	for _, p := range []project{{1, false}, {11, true}} {
		dir := t.TempDir()
		require.NoError(t, p.write(dir))
		for _, name := range []string{"main.go", "ent/entc.go", "ent/schema/schema.go"} {
			content, err := os.ReadFile(filepath.Join(dir, name))
			require.NoError(t, err)
			_, err = parser.ParseFile(token.NewFileSet(), name, content, parser.AllErrors)
			require.NoError(t, err)
			assert.Equal(t, p.library, bytes.Contains(content, []byte("signalbus/mixin")) ||
				bytes.Contains(content, []byte("entsignal/codegen")) || bytes.Contains(content, []byte("NewSignalBus")), name)
		}
	}
}

func TestServerOfAnAddressIsFound(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	pid, err := listener(l.Addr().String())
	require.NoError(t, err)
	assert.Equal(t, os.Getpid(), pid)
	require.NoError(t, l.Close())
	pid, err = listener(l.Addr().String())
	require.NoError(t, err)
	assert.Zero(t, pid)
}

func TestCPUTimeIncludesThatOfChildren(t *testing.T) {
	s, err := parseStat("42 (a) b) S 7 0 0 0 0 0 0 0 0 0 1 2 3 4 20 0")
	require.NoError(t, err)
	assert.Equal(t, procStat{pid: 42, parent: 7, cpu: 10 * tick}, s)
	_, err = parseStat("42 (a")
	require.Error(t, err)

	parents, err := treeCPU(os.Getppid())
	require.NoError(t, err)
	own, err := treeCPU(os.Getpid())
	require.NoError(t, err)
	assert.LessOrEqual(t, parents-own, parents)
	_, err = treeCPU(1 << 30)
	assert.ErrorContains(t, err, "is gone")
}

func TestSecondRoundRunsTheSidesInTheReverseOrder(t *testing.T) {
	var ran []string
	slower := func(name string) *side { // each run takes a second more than the one before
		return &side{name: name, run: func(context.Context) (Figure, error) {
			ran = append(ran, name)
			return Figure{Count: 1, Took: time.Duration(len(ran)) * time.Second}, nil
		}}
	}
	floor, ours, other := slower("floor"), slower("ours"), slower("other")
	f := family{sides: []*side{floor, ours, other}, rows: []row{speed("row", messages, floor, ours)}}
	results, err := f.measure(t.Context(), 3, io.Discard)
	require.NoError(t, err)
	assert.Equal(t, []string{"floor", "ours", "other", "other", "ours", "floor", "floor", "ours", "other"}, ran)
	assert.InDelta(t, 6.0/5, results[0].ratio.most, 1e-9, "of the second round")
}

func TestResultComparesWithinTheRound(t *testing.T) {
	floor, ours := &side{name: "floor"}, &side{name: "ours"}
	second := func(counts ...int) (figures []Figure) {
		for _, n := range counts {
			figures = append(figures, Figure{Count: n, Took: time.Second})
		}
		return figures
	}
	r := speed(rowFlushMany1, messages, floor, ours).result(map[*side][]Figure{
		floor: second(100, 1000, 10), ours: second(90, 800, 10),
	})
	assert.Equal(t, spread{0.9, 0.8, 1}, r.ratio)
	assert.Equal(t, spread{100, 10, 1000}, *r.floor)
	assert.Equal(t, "at least 0.88: met", r.verdict())

	hook := row{name: rowHookTime, ours: reading{ours, microsEach}}.result(map[*side][]Figure{ours: second(1000)})
	assert.Equal(t, "at most 1: missed", hook.verdict())

	var out bytes.Buffer
	require.NoError(t, report{results: []result{hook, {row: row{name: "no target"}}, r}}.writeJSON(&out))
	var entries []map[string]any
	require.NoError(t, json.Unmarshal(out.Bytes(), &entries))
	assert.Equal(t, []map[string]any{
		{"name": rowFlushMany1, "floor": 100., "ours": 90., "ratio": 0.9, "target": 0.88, "better": "higher"},
		{"name": rowHookTime, "floor": nil, "ours": 1000., "ratio": 1000., "target": 1., "better": "lower"},
	}, entries)
}
