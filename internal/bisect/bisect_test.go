package bisect

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

	"github.com/entsignal/signalbus/entsignal"
)

var errBad = errors.New("bad")

// apart sends n signals of which some are bad, through a sender that says no
// more than that a call failed. It returns how often each was sent.
func apart(n int, ordered bool, bad ...int) (r Result, sent []int, calls int) {
	isBad := make([]bool, n)
	for _, i := range bad {
		isBad[i] = true
	}
	sent = make([]int, n)
	b := Batch{
		Send: func(_ context.Context, part Span) error {
			calls++
			if slices.Contains(isBad[part.From:part.To], true) {
				return errBad
			}
			for i := part.From; i < part.To; i++ {
				sent[i]++
			}
			return nil
		},
		Stopped: func(ctx context.Context) error { return ctx.Err() },
		Ended:   context.Context.Err,
		Ordered: ordered,
	}
	return b.Run(context.Background(), n), sent, calls
}

// assertFreed asserts that all but the bad signals were sent, once.
func assertFreed(t *testing.T, r Result, sent, bad []int) {
	t.Helper()
	require.NoError(t, r.Whole)
	times, outcomes := make([]int, len(sent)), make([]Outcome, len(sent))
	for i := range times {
		times[i] = 1
	}
	for _, i := range bad {
		times[i], outcomes[i] = 0, Outcome{errBad, true}
	}
	if !slices.Equal(times, sent) || !slices.Equal(outcomes, r.Outcomes) || r.Sent != len(sent)-len(bad) {
		assert.Equal(t, times, sent, "bad: %v", bad)
		assert.Equal(t, outcomes, r.Outcomes)
		require.Equal(t, len(sent)-len(bad), r.Sent)
	}
}

func TestOneBadSignalIsFoundInLogarithmicTime(t *testing.T) {
	for n := 1; n <= 70; n++ {
		for bad := range n {
			r, sent, calls := apart(n, false, bad)
			assertFreed(t, r, sent, []int{bad})
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
			r, sent, _ := apart(n, false, bad...)
			assertFreed(t, r, sent, bad)
		}
	}
	for _, every := range []int{3, 4, 5, 16, 63, n / 4, n / 2, n - 1} {
		var bad []int
		for i := 0; i < n; i += every {
			bad = append(bad, i)
		}
		r, sent, _ := apart(n, false, bad...)
		assertFreed(t, r, sent, bad)
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 100 {
		bad := random.Perm(n)[:1+random.IntN(n/5)]
		r, sent, _ := apart(n, false, bad...)
		assertFreed(t, r, sent, bad)
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
		r, _, calls := apart(n, false, all(n)...)
		assert.LessOrEqual(t, calls, most)
		require.ErrorIs(t, r.Whole, errBad)
		assert.ErrorContains(t, r.Whole, fmt.Sprintf("none of %d signals was sent", n))
		blamed := 0
		for _, o := range r.Outcomes {
			require.Error(t, o.Err)
			if o.Own {
				blamed++
				continue
			}
			assert.ErrorIs(t, o.Err, entsignal.ErrNotTried)
		}
		assert.Equal(t, lastAlone, blamed, "only what failed alone is blamed")
	}
	for n := 1; n <= lastAlone; n++ {
		r, sent, _ := apart(n, false, all(n)...)
		assertFreed(t, r, sent, all(n))
	}
}

func TestOrderedBatchIsSentUpToItsFirstBadSignal(t *testing.T) {
	for n := 1; n <= 40; n++ {
		for bad := range n {
			r, sent, calls := apart(n, true, bad, n-1)
			require.LessOrEqual(t, calls, 1+2*bits.Len(uint(n-1)))
			require.NoError(t, r.Whole)
			require.Equal(t, bad, r.Sent)
			for i, o := range r.Outcomes {
				switch {
				case i < bad:
					require.Equal(t, Outcome{}, o)
					require.Equal(t, 1, sent[i])
				case i == bad:
					require.Equal(t, Outcome{errBad, true}, o)
				default:
					require.Equal(t, Outcome{Err: entsignal.ErrNotTried}, o)
					require.Zero(t, sent[i])
				}
			}
		}
	}
}

func TestBatchIsNotTakenApartWhenItIsNotAboutItsSignals(t *testing.T) {
	away := entsignal.Unavailable(errors.New("away"))
	short := &entsignal.BatchError{Errors: []error{nil}}
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
			}, 2, entsignal.ErrNotTried, nil,
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
			r := Batch{
				Send:    func(context.Context, Span) error { calls++; return test.send(calls, cancel) },
				Stopped: context.Context.Err,
				Ended:   context.Context.Err,
			}.Run(ctx, 8)
			assert.Equal(t, test.calls, calls)
			assert.Equal(t, test.whole, r.Whole)
			assert.ErrorIs(t, r.Outcomes[7].Err, test.rest)
			for _, o := range r.Outcomes {
				assert.False(t, o.Own)
			}
		})
	}
}

func TestReportOfAPartIsKept(t *testing.T) {
	parts := 0
	r := Batch{
		Send: func(_ context.Context, part Span) error {
			if parts++; part.Len() == 8 {
				return errBad
			}
			errs := make([]error, part.Len())
			errs[1] = errBad
			return fmt.Errorf("wrapped: %w", entsignal.Permanent(&entsignal.BatchError{Errors: errs}))
		},
		Stopped: func(context.Context) error { return nil },
		Ended:   context.Context.Err,
	}.Run(t.Context(), 8)
	assert.Equal(t, 3, parts)
	assert.Equal(t, 6, r.Sent)
	for i, o := range r.Outcomes {
		assert.Equal(t, i%4 == 1, o.Err != nil)
		assert.Equal(t, i%4 == 1, o.Own)
		assert.Equal(t, i%4 == 1, entsignal.IsPermanent(o.Err))
	}
}

func TestSignalsThatWereLeftOutAreNotBlamed(t *testing.T) {
	errs := []error{errBad, entsignal.ErrNotTried, entsignal.Unavailable(errBad), nil}
	r := Batch{Send: func(context.Context, Span) error { return &entsignal.BatchError{Errors: errs} }, Ended: context.Context.Err}.Run(t.Context(), 4)
	blamed := make([]bool, 4)
	for i, o := range r.Outcomes {
		blamed[i] = o.Own
	}
	assert.Equal(t, []bool{true, false, false, false}, blamed)
	assert.Equal(t, 1, r.Sent)

	ctx, cancel := context.WithCancel(t.Context())
	errs = []error{errBad, fmt.Errorf("late: %w", context.Canceled)}
	r = Batch{Send: func(context.Context, Span) error { cancel(); return &entsignal.BatchError{Errors: errs} }, Ended: context.Context.Err}.Run(ctx, 2)
	assert.True(t, r.Outcomes[0].Own)
	assert.False(t, r.Outcomes[1].Own)
}
