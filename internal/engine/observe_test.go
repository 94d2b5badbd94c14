package engine

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/internal/foreign"
	"github.com/entsignal/signalbus/internal/option"
)

// watched returns an engine with so many observers, and a batch of which all was sent.
func watched(t testing.TB, observers int) (*Engine, *batch) {
	e := &Engine{}
	e.log = foreign.Logger(option.DefaultBus().Log, e.logHandlerPanicked)
	for range observers {
		e.AddObserver(func(context.Context, any) {})
	}
	d := newNumbers(entsignal.ModeFlush, 100, func(context.Context, []int) error { return nil })
	d.traced = e.traced
	require.Empty(t, d.send(t.Context(), nil, nil).Err)
	return e, d
}

// pass makes the events of a commit and of its batch.
func pass(ctx context.Context, e *Engine, d *batch, groups []typeGroup) {
	e.observeRecorded(ctx, groups)
	e.observeBatch(ctx, d, 100, time.Millisecond, nil, false)
}

func TestEventsCostNothingWithoutAnObserver(t *testing.T) {
	groups := []typeGroup{{name: "Number", ids: make([]any, 100)}}
	e, d := watched(t, 0)
	require.Zero(t, testing.AllocsPerRun(100, func() { pass(t.Context(), e, d, groups) }))
	nothing := func(context.Context) error { return nil }
	require.Zero(t, testing.AllocsPerRun(100, func() { _ = e.traced(t.Context(), entsignal.Batch{}, nothing) }))
	e, d = watched(t, 1)
	require.Positive(t, testing.AllocsPerRun(100, func() { pass(t.Context(), e, d, groups) }))
}

// BenchmarkEvents is what the events of a commit and of its batch cost, without an
// observer and with some.
func BenchmarkEvents(b *testing.B) {
	groups := []typeGroup{{name: "Number", ids: make([]any, 100)}}
	for name, n := range map[string]int{"no observer": 0, "one": 1, "three": 3} {
		b.Run(name, func(b *testing.B) {
			e, d := watched(b, n)
			b.ReportAllocs()
			for b.Loop() {
				pass(b.Context(), e, d, groups)
			}
		})
	}
}
