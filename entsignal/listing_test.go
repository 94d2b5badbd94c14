package entsignal

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func list(n int) *listing {
	l := &listing{}
	for i := range n {
		l.all = append(l.all, i)
	}
	return l
}

func TestListingIsTakenInItsOrderButForWhatWasProbed(t *testing.T) {
	l := list(1000)
	require.Equal(t, []any{0, 1, 2}, l.take(3, false))
	one, ok := l.pick()
	require.True(t, ok)
	assert.Equal(t, 999, one, "bad rows are often the oldest")
	picked := map[any]bool{one: true}
	for range 50 {
		one, ok := l.pick()
		require.True(t, ok)
		require.False(t, picked[one])
		picked[one] = true
	}
	l.again([]any{1, 2})
	require.Equal(t, []any{1}, l.take(7, true), "what comes again comes one by one")
	require.Equal(t, []any{2}, l.take(7, true))
	var taken, want []any
	for some := l.take(7, true); len(some) > 0; some = l.take(7, true) {
		taken = append(taken, some...)
	}
	for _, one := range l.all[3:] {
		if !picked[one] {
			want = append(want, one)
		}
	}
	assert.Equal(t, want, taken)
}

func TestOfFewThatAreLeftEachIsProbed(t *testing.T) {
	l := list(20)
	l.take(3, false)
	l.again([]any{1})
	var picked []any
	for one, ok := l.pick(); ok; one, ok = l.pick() {
		picked = append(picked, one)
	}
	assert.Equal(t, append([]any{1}, list(20).all[3:]...), picked)
	assert.Empty(t, l.take(1, false))
}

func TestPlacesFindWhatIsBehindFewBadRowsAndBehindThousands(t *testing.T) {
	for seed := range uint64(100) {
		for _, bad := range []struct{ first, last, n int }{ // all but those from first to last
			{3, 20000, 20001}, {100, 300, 20000}, {10000, 20000, 30000}, {10000, 11000, 21000}, {40000, 42000, 60000},
		} {
			p := newPlaces(rand.New(rand.NewPCG(seed, 0)))
			found := false
			for range maxTries - maxStrikes {
				i := p.next().of(bad.n)
				require.Less(t, i, bad.n)
				found = found || i >= bad.first && i < bad.last
			}
			assert.True(t, found, "seed %d: %+v", seed, bad)
		}
	}
}

func TestPlacesOfTwoFlushesDiffer(t *testing.T) {
	seen := make(map[int]bool)
	a, b := newPlaces(newRandom()), newPlaces(newRandom())
	for range maxTries {
		seen[a.next().of(1e6)] = true
	}
	other := 0
	for range maxTries {
		if !seen[b.next().of(1e6)] {
			other++
		}
	}
	assert.Greater(t, other, maxTries/2)
}
