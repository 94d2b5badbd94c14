package entsignal

import (
	"context"
	"errors"
	"fmt"
	"math/bits"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/internal/foreign"
)

var errBad = errors.New("bad")

// apart sends n signals of which some are bad, through a sender that says no
// more than that a call failed. It returns how often each was sent.
func apart(n int, ordered bool, bad ...int) (p *parting, sent []int, calls int) {
	isBad := make([]bool, n)
	for _, i := range bad {
		isBad[i] = true
	}
	sent = make([]int, n)
	p = &parting{
		send: func(_ context.Context, part span) error {
			calls++
			if slices.Contains(isBad[part.from:part.to], true) {
				return errBad
			}
			for i := part.from; i < part.to; i++ {
				sent[i]++
			}
			return nil
		},
		stopped: func(ctx context.Context) error { return ctx.Err() },
		ordered: ordered,
	}
	p.run(context.Background(), n)
	return p, sent, calls
}

// assertFreed asserts that all but the bad signals were sent, once.
func assertFreed(t *testing.T, p *parting, sent, bad []int) {
	t.Helper()
	require.NoError(t, p.whole)
	times, outcomes := make([]int, len(sent)), make([]outcome, len(sent))
	for i := range times {
		times[i] = 1
	}
	for _, i := range bad {
		times[i], outcomes[i] = 0, outcome{errBad, true}
	}
	if !slices.Equal(times, sent) || !slices.Equal(outcomes, p.outcomes) || p.sent != len(sent)-len(bad) {
		assert.Equal(t, times, sent, "bad: %v", bad)
		assert.Equal(t, outcomes, p.outcomes)
		require.Equal(t, len(sent)-len(bad), p.sent)
	}
}

func TestOneBadSignalIsFoundInLogarithmicTime(t *testing.T) {
	for n := 1; n <= 70; n++ {
		for bad := range n {
			p, sent, calls := apart(n, false, bad)
			assertFreed(t, p, sent, []int{bad})
			require.LessOrEqual(t, calls, 1+2*bits.Len(uint(n-1)), "%d of %d", bad, n)
		}
	}
	_, _, calls := apart(500, false)
	assert.Equal(t, 1, calls, "nothing is bad")
}

func TestGoodSignalsAroundBadOnesAreFreed(t *testing.T) {
	const n = 500
	// Runs of bad signals that end the search in one place, nearly end it as a
	// whole, or fill a part: at the head, across the halves, and at the end.
	for _, length := range []int{1, pair, pair + 1, lastAlone, lastAlone + 1, n / 8, n / 4} {
		for _, from := range []int{0, 1, n/4 - length/2, n/2 - length/2, n / 2, n - length - 1, n - length} {
			bad := make([]int, length)
			for i := range bad {
				bad[i] = from + i
			}
			p, sent, _ := apart(n, false, bad...)
			assertFreed(t, p, sent, bad)
		}
	}
	for _, every := range []int{3, 4, 5, 16, 63, n / 4, n / 2, n - 1} {
		var bad []int
		for i := 0; i < n; i += every {
			bad = append(bad, i)
		}
		p, sent, _ := apart(n, false, bad...)
		assertFreed(t, p, sent, bad)
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 100 {
		bad := random.Perm(n)[:1+random.IntN(n/5)]
		p, sent, _ := apart(n, false, bad...)
		assertFreed(t, p, sent, bad)
	}
}

func TestSenderThatFailsForEverythingIsNotCalledForEverySignal(t *testing.T) {
	all := func(n int) []int {
		indexes := make([]int, n)
		for i := range indexes {
			indexes[i] = i
		}
		return indexes
	}
	for n, most := range map[int]int{500: 30, 30000: 48} {
		p, _, calls := apart(n, false, all(n)...)
		assert.LessOrEqual(t, calls, most)
		require.ErrorIs(t, p.whole, errBad)
		assert.ErrorContains(t, p.whole, fmt.Sprintf("none of %d signals was sent", n))
		blamed := 0
		for _, o := range p.outcomes {
			require.Error(t, o.err)
			if o.blame {
				blamed++
				continue
			}
			assert.ErrorIs(t, o.err, ErrNotTried)
		}
		assert.Equal(t, lastAlone, blamed, "only what failed alone is blamed")
	}
	for n := 1; n <= lastAlone; n++ {
		p, sent, _ := apart(n, false, all(n)...)
		assertFreed(t, p, sent, all(n))
	}
}

func TestOrderedBatchIsSentUpToItsFirstBadSignal(t *testing.T) {
	for n := 1; n <= 40; n++ {
		for bad := range n {
			p, sent, calls := apart(n, true, bad, n-1)
			require.LessOrEqual(t, calls, 1+2*bits.Len(uint(n-1)))
			require.NoError(t, p.whole)
			require.Equal(t, bad, p.sent)
			for i, o := range p.outcomes {
				switch {
				case i < bad:
					require.Equal(t, outcome{}, o)
					require.Equal(t, 1, sent[i])
				case i == bad:
					require.Equal(t, outcome{errBad, true}, o)
				default:
					require.Equal(t, outcome{err: ErrNotTried}, o)
					require.Zero(t, sent[i])
				}
			}
		}
	}
}

func TestBatchIsNotTakenApartWhenItIsNotAboutItsSignals(t *testing.T) {
	away := Unavailable(errors.New("away"))
	short := &BatchError{Errors: []error{nil}}
	for name, test := range map[string]struct {
		// send is called with the number of the call, from 1.
		send  func(call int, cancel func()) error
		calls int
		rest  error
		whole error
	}{
		"the broker is away": {
			func(int, func()) error { return away }, 1, away, away,
		},
		"the broker goes away": {
			func(call int, _ func()) error {
				if call == 1 {
					return errBad
				}
				return away
			}, 2, ErrNotTried, nil,
		},
		"the context ends": {
			func(_ int, cancel func()) error { cancel(); return errBad }, 1, errBad, errBad,
		},
		"the context ends between two calls": {
			func(call int, cancel func()) error {
				if call == 1 {
					return errBad
				}
				cancel()
				return nil
			}, 2, context.Canceled, nil,
		},
		"a report of the wrong length": {
			func(int, func()) error { return short }, 1, short, short,
		},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			calls := 0
			p := parting{
				send:    func(context.Context, span) error { calls++; return test.send(calls, cancel) },
				stopped: func(ctx context.Context) error { return ctx.Err() },
			}
			p.run(ctx, 8)
			assert.Equal(t, test.calls, calls)
			assert.Equal(t, test.whole, p.whole)
			assert.ErrorIs(t, p.outcomes[7].err, test.rest)
			for _, o := range p.outcomes {
				assert.False(t, o.blame)
			}
		})
	}
}

func TestReportOfAPartIsKept(t *testing.T) {
	parts := 0
	p := parting{
		send: func(_ context.Context, part span) error {
			if parts++; part.len() == 8 {
				return errBad
			}
			errs := make([]error, part.len())
			errs[1] = errBad
			return fmt.Errorf("wrapped: %w", Permanent(&BatchError{Errors: errs}))
		},
		stopped: func(context.Context) error { return nil },
	}
	p.run(t.Context(), 8)
	assert.Equal(t, 3, parts)
	assert.Equal(t, 6, p.sent)
	for i, o := range p.outcomes {
		assert.Equal(t, i%4 == 1, o.err != nil)
		assert.Equal(t, i%4 == 1, o.blame)
		assert.Equal(t, i%4 == 1, IsPermanent(o.err))
	}
}

func TestSignalsThatWereLeftOutAreNotBlamed(t *testing.T) {
	errs := []error{errBad, ErrNotTried, Unavailable(errBad), nil}
	p := parting{send: func(context.Context, span) error { return &BatchError{Errors: errs} }}
	p.run(t.Context(), 4)
	blamed := make([]bool, 4)
	for i, o := range p.outcomes {
		blamed[i] = o.blame
	}
	assert.Equal(t, []bool{true, false, false, false}, blamed)
	assert.Equal(t, 1, p.sent)

	ctx, cancel := context.WithCancel(t.Context())
	errs = []error{errBad, fmt.Errorf("late: %w", context.Canceled)}
	p = parting{send: func(context.Context, span) error { cancel(); return &BatchError{Errors: errs} }}
	p.run(ctx, 2)
	assert.True(t, p.outcomes[0].blame)
	assert.False(t, p.outcomes[1].blame)
}

// newDelivery returns a batch of n numbers from 0, which are their own ids.
func newDelivery(mode Mode, n int, send Sender[int]) *delivery[struct{}, int, int, Query[int]] {
	d := &delivery[struct{}, int, int, Query[int]]{
		signal: &signal[struct{}, int, int, Query[int]]{
			Model:   Model[struct{}, int, int, Query[int]]{Sender: send},
			stopped: func(ctx context.Context) error { return ctx.Err() },
		},
		meta: Batch{Signal: Info{Name: "Number"}, Mode: mode},
	}
	for i := range n {
		d.rows, d.ids = append(d.rows, i), append(d.ids, i)
	}
	return d
}

func TestEachCallOfASenderFindsItsOwnBatch(t *testing.T) {
	d := newDelivery(ModeFlush, 9, func(ctx context.Context, numbers []int) error {
		batch, ok := BatchFromContext(ctx)
		require.True(t, ok)
		require.Len(t, batch.Items, len(numbers))
		for i, number := range numbers {
			require.Equal(t, Item{ID: fmt.Sprint(number)}, batch.Items[i])
			batch.Items[i].ID = "changed" // as it may: it's the sender's
		}
		failing := slices.Contains(numbers, 4)
		slices.Reverse(numbers) // as it may, too
		if failing {
			return errBad
		}
		return nil
	})
	n, err := d.Send(t.Context())
	assert.Equal(t, 8, n)
	assert.EqualError(t, err, "1 of 9 not sent: id 4: bad")
	assert.Equal(t, []any{0, 1, 2, 3, 5, 6, 7, 8}, d.Done())
}

func TestPanicOfASenderCondemnsOnlyItsSignal(t *testing.T) {
	d := newDelivery(ModeAutoFlush, 5, func(_ context.Context, numbers []int) error {
		if slices.Contains(numbers, 2) {
			panic(errBad)
		}
		return nil
	})
	n, err := d.Send(t.Context())
	assert.Equal(t, 4, n)
	assert.EqualError(t, err, "1 of 5 not sent: id 2: panic: bad")
	require.ErrorIs(t, err, errBad)
	var p *foreign.PanicError
	assert.ErrorAs(t, err, &p, "its stack is for the log")
}

func TestClosingBusEndsTheSearchForBadSignals(t *testing.T) {
	calls := 0
	d := newDelivery(ModeFlush, 8, func(context.Context, []int) error {
		calls++
		return errBad
	})
	d.signal.stopped = func(context.Context) error {
		if calls == 3 {
			return ErrClosed
		}
		return nil
	}
	n, err := d.Send(t.Context())
	assert.Zero(t, n)
	assert.Equal(t, 3, calls)
	require.ErrorIs(t, err, ErrClosed)
	require.ErrorIs(t, err, errBad)
	assert.Empty(t, d.Done())
}
