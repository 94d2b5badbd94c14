package engine

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestBurstGrowsWhileBatchesAreFullAndQuickAndNothingFails(t *testing.T) {
	b := burst{grows: true, rows: 1}
	var sizes []int
	for range 12 {
		sizes = append(sizes, b.size())
		b.note(b.size(), quickBatch, nil)
	}
	assert.Equal(t, []int{1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1000, 1000}, sizes)

	b.note(b.size(), time.Second, nil)
	assert.Equal(t, 1000, b.size(), "a slow batch is no failure")
	b.note(0, 0, errors.New("bad"))
	assert.Equal(t, 1, b.size())
	b.note(0, 0, nil)
	assert.Equal(t, 1, b.size(), "nothing was there")
	b.note(1, time.Second, nil)
	assert.Equal(t, 1, b.size(), "too slow")
}

func TestBurstThatSomebodyHasSetStays(t *testing.T) {
	b := burst{rows: 1}
	b.note(1, 0, nil)
	assert.Equal(t, 1, b.size())
	b = burst{rows: 500}
	b.note(0, 0, errors.New("bad"))
	assert.Equal(t, 500, b.size())
}
