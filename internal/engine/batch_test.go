package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"entgo.io/ent/dialect"
	"entgo.io/ent/dialect/sql"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/internal/foreign"
	"github.com/entsignal/signalbus/internal/table"
)

var errBad = errors.New("bad")

// numbers is a query that finds the numbers from 0, which are their own ids.
type numbers int

func (n numbers) All(context.Context) (all []int, _ error) {
	for i := range int(n) {
		all = append(all, i)
	}
	return all, nil
}

// newNumbers returns a batch of n numbers that was fetched.
func newNumbers(mode entsignal.Mode, n int, send entsignal.Sender[int]) *batch {
	s := table.New(table.Model[struct{}, int, int, numbers]{
		Name: "Number", Sender: send, ID: func(n int) int { return n },
		Query: func(struct{}, dialect.Driver, func(*sql.Selector)) numbers { return numbers(n) },
	})
	rows, err := s.Load(context.Background(), dialect.Debug(nil), nil)
	if err != nil {
		panic(err)
	}
	return &batch{
		traced: (&Engine{}).traced,
		signal: &signalType{Signal: s, info: s.Info()}, mode: mode, rows: rows,
		stopped: func(ctx context.Context) error { return ctx.Err() },
	}
}

func TestEachCallOfASenderFindsItsOwnBatch(t *testing.T) {
	d := newNumbers(entsignal.ModeFlush, 9, func(ctx context.Context, numbers []int) error {
		batch, ok := entsignal.BatchFromContext(ctx)
		require.True(t, ok)
		require.Len(t, batch.Items, len(numbers))
		for i, number := range numbers {
			require.Equal(t, entsignal.Item{ID: fmt.Sprint(number)}, batch.Items[i])
			batch.Items[i].ID = "changed" // as it may: it's the sender's
		}
		failing := slices.Contains(numbers, 4)
		slices.Reverse(numbers) // as it may, too
		if failing {
			return errBad
		}
		return nil
	})
	out := d.send(t.Context(), d.ids(), nil)
	assert.EqualError(t, out.Err, "1 of 9 not sent: id 4: bad")
	assert.Equal(t, []any{0, 1, 2, 3, 5, 6, 7, 8}, out.Sent)
}

func TestPanicOfASenderCondemnsOnlyItsSignal(t *testing.T) {
	d := newNumbers(entsignal.ModeAutoFlush, 5, func(_ context.Context, numbers []int) error {
		if slices.Contains(numbers, 2) {
			panic(errBad)
		}
		return nil
	})
	out := d.send(t.Context(), d.ids(), nil)
	assert.Len(t, out.Sent, 4)
	assert.EqualError(t, out.Err, "1 of 5 not sent: id 2: panic: bad")
	require.ErrorIs(t, out.Err, errBad)
	var p *foreign.PanicError
	assert.ErrorAs(t, out.Err, &p, "its stack is for the log")
}

func TestClosingBusEndsTheSearchForBadSignals(t *testing.T) {
	calls := 0
	d := newNumbers(entsignal.ModeFlush, 8, func(context.Context, []int) error {
		calls++
		return errBad
	})
	d.stopped = func(context.Context) error {
		if calls == 3 {
			return entsignal.ErrClosed
		}
		return nil
	}
	out := d.send(t.Context(), d.ids(), nil)
	assert.Equal(t, 3, calls)
	require.ErrorIs(t, out.Err, entsignal.ErrClosed)
	require.ErrorIs(t, out.Err, errBad)
	assert.Empty(t, out.Sent)
}
