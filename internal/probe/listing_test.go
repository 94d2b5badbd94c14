package probe

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func list(n int) *Listing {
	l := &Listing{}
	for i := range n {
		l.all = append(l.all, i)
	}
	return l
}

func TestListingIsTakenInItsOrderButForWhatWasProbed(t *testing.T) {
	l := list(1000)
	require.Equal(t, []any{0, 1, 2}, l.Take(3, false))
	one, ok := l.Pick()
	require.True(t, ok)
	assert.Equal(t, 999, one, "bad rows are often the oldest")
	picked := map[any]bool{one: true}
	for range 50 {
		one, ok := l.Pick()
		require.True(t, ok)
		require.False(t, picked[one])
		picked[one] = true
	}
	l.Again([]any{1, 2})
	require.Equal(t, []any{1}, l.Take(7, true), "what comes again comes one by one")
	require.Equal(t, []any{2}, l.Take(7, true))
	var taken, want []any
	for some := l.Take(7, true); len(some) > 0; some = l.Take(7, true) {
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
	l.Take(3, false)
	l.Again([]any{1})
	var picked []any
	for one, ok := l.Pick(); ok; one, ok = l.Pick() {
		picked = append(picked, one)
	}
	assert.Equal(t, append([]any{1}, list(20).all[3:]...), picked)
	assert.Empty(t, l.Take(1, false))
}

func TestPlacesFindWhatIsBehindFewBadRowsAndBehindThousands(t *testing.T) {
	for seed := range uint64(100) {
		for _, bad := range []struct{ first, last, n int }{ // all but those from first to last
			{3, 20000, 20001}, {100, 300, 20000}, {10000, 20000, 30000}, {10000, 11000, 21000}, {40000, 42000, 60000},
		} {
			p := newPlaces(rand.New(rand.NewPCG(seed, 0)))
			found := false
			for range MaxTries - maxStrikes {
				i := p.Next().Of(bad.n)
				require.Less(t, i, bad.n)
				found = found || i >= bad.first && i < bad.last
			}
			assert.True(t, found, "seed %d: %+v", seed, bad)
		}
	}
}

func TestPlacesOfTwoFlushesDiffer(t *testing.T) {
	seen := make(map[int]bool)
	a, b := NewPlaces(), NewPlaces()
	for range MaxTries {
		seen[a.Next().Of(1e6)] = true
	}
	other := 0
	for range MaxTries {
		if !seen[b.Next().Of(1e6)] {
			other++
		}
	}
	assert.Greater(t, other, MaxTries/2)
}
