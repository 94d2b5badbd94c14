package engine

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestBatchesShrinkWithTheSizeOfTheirRows(t *testing.T) {
	const most = 64 << 20
	var w weight
	assert.Equal(t, 500, w.limit(500, most), "nothing is known yet")
	w.note(100)
	assert.Equal(t, 500, w.limit(500, most))
	w.note(0)
	assert.Equal(t, 500, w.limit(500, most), "an empty batch says nothing")
	w.note(1 << 20)
	assert.Equal(t, 64, w.limit(500, most))
	assert.Equal(t, 1, w.limit(500, 1000), "one row goes, however large it is")
}
