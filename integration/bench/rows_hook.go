package main

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// collecting is the family of what a transaction pays for each signal that it
// creates, which a Go benchmark of the package hooks measures.
func collecting(repository string) family {
	hook := &side{name: "BenchmarkCollect", run: func(ctx context.Context) (Figure, error) { return runCollect(ctx, repository) }}
	return family{
		sides: []*side{hook},
		rows: []row{
			{name: rowHookTime, unit: "µs", ours: reading{hook, microsEach}},
			{name: rowHookAllocations, unit: "allocations", ours: reading{hook, allocations}},
		},
	}
}

func runCollect(ctx context.Context, repository string) (Figure, error) {
	cmd := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", "^BenchmarkCollect$", "-benchtime", "0.2s", "./hooks")
	cmd.Dir = repository
	out, err := cmd.CombinedOutput()
	if err != nil {
		return Figure{}, fmt.Errorf("go test: %w: %s", err, bytes.TrimSpace(out))
	}
	return parseCollect(string(out))
}

// parseCollect reads the output of the benchmark. Of its ways to create it
// takes the most expensive.
func parseCollect(out string) (Figure, error) {
	f := Figure{Count: 1_000_000} // of which the clock says the time
	found := 0
	for line := range strings.Lines(out) {
		fields := strings.Fields(line)
		if len(fields) == 0 || !strings.HasPrefix(fields[0], "BenchmarkCollect/") {
			continue
		}
		metrics := make(map[string]float64)
		for i := 2; i+1 < len(fields); i += 2 {
			value, err := strconv.ParseFloat(fields[i], 64)
			if err != nil {
				return f, fmt.Errorf("%w in %q", err, line)
			}
			metrics[fields[i+1]] = value
		}
		nanos, hasTime := metrics["ns/signal"]
		allocs, hasAllocs := metrics["allocs/signal"]
		if !hasTime || !hasAllocs {
			return f, fmt.Errorf("no ns/signal and allocs/signal in %q", line)
		}
		f.Took = max(f.Took, time.Duration(nanos*float64(f.Count)))
		f.Allocations = math.Max(f.Allocations, allocs)
		found++
	}
	if found == 0 {
		return f, fmt.Errorf("no result of BenchmarkCollect in %q", out)
	}
	return f, nil
}
