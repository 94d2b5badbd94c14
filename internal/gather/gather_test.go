package gather

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// joining returns a function that lets a commit of one signal join.
func joining(g *Gatherer) func() (*Share, bool) {
	return func() (*Share, bool) { return g.Join([]any{1}) }
}

// led reports whether a share has got the lead.
func led(s *Share) bool {
	select {
	case <-s.Lead:
		return true
	default:
		return false
	}
}

func TestTwoSharedBatchesMayBeUnderWayOneOfThemUnpublished(t *testing.T) {
	var g Gatherer
	join := joining(&g)
	_, lead := join()
	require.True(t, lead)
	second, lead := join()
	assert.False(t, lead)
	third, lead := join()
	assert.False(t, lead)
	assert.False(t, led(second), "the first isn't published")
	g.Pass()
	assert.True(t, led(second))
	g.Pass()
	assert.False(t, led(third), "two are under way")
	fourth, lead := join()
	assert.False(t, lead)
	g.End()
	assert.True(t, led(third), "the one that has waited longest")
	assert.False(t, led(fourth))
	assert.Len(t, g.Gather(third), 2)
	g.Pass()
	g.End()
	g.End()
	assert.Zero(t, g.underWay)
	_, lead = join()
	assert.True(t, lead)
}

// A small batch costs the database as much as a large one.
func TestSecondBatchBeginsWhenAsManyWaitAsTheFirstHas(t *testing.T) {
	var g Gatherer
	join := joining(&g)
	first, lead := join()
	require.True(t, lead)
	join()
	join()
	assert.Len(t, g.Gather(first), 3)
	second, _ := join()
	g.Pass()
	join()
	assert.False(t, led(second), "two wait, and the first batch has three")
	_, lead = join()
	assert.False(t, lead)
	assert.True(t, led(second), "the one that has waited longest")
	assert.Len(t, g.Gather(second), 3)
	third, _ := join()
	g.End()
	assert.False(t, led(third), "the second isn't published")
	g.Pass()
	assert.False(t, led(third), "one waits, and the second batch has three")
	g.End()
	assert.True(t, led(third), "nothing is under way")
}

func TestOneSharedBatchAtMostBreaksOut(t *testing.T) {
	var g Gatherer
	join := func() *Share {
		s, _ := g.Join([]any{1})
		return s
	}
	join() // leads
	second, third := join(), join()
	assert.True(t, g.BreakOut(second))
	assert.False(t, g.BreakOut(second), "it leads by now")
	assert.Equal(t, []*Share{second, third}, g.Gather(second), "it takes along who waits")
	fourth := join()
	assert.False(t, g.BreakOut(fourth), "one is out")
	g.EndOut()
	assert.True(t, g.BreakOut(fourth))
	assert.Equal(t, 1, g.underWay, "the way of the others is as it was")
	assert.True(t, g.led)
}
