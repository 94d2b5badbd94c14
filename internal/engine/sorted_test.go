package engine

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestFrontIsLookedAtAsSeldomAsItIsExpensive(t *testing.T) {
	var looks frontLooks
	now := time.Now()
	assert.False(t, looks.due(now), "the first batch is at the front")
	looks.note(now, true, 10*time.Millisecond)
	assert.False(t, looks.due(now.Add(time.Hour)), "one batch behind a place comes first")
	looks.note(now, false, 10*time.Millisecond)
	assert.False(t, looks.due(now.Add(199*time.Millisecond)))
	assert.True(t, looks.due(now.Add(200*time.Millisecond)))

	looks.note(now, true, 9*time.Millisecond)
	looks.note(now, false, 10*time.Millisecond)
	assert.True(t, looks.due(now), "it costs no more than any batch")
	looks.note(now, true, 60*time.Millisecond)
	looks.note(now, false, 10*time.Millisecond)
	assert.False(t, looks.due(now.Add(999*time.Millisecond)))
	assert.True(t, looks.due(now.Add(time.Second)))
}
